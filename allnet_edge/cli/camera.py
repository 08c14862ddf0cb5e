"""Look through a camera: what it gives, what to set otherwise; calibrate it and store that."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app
from allnet_edge.intended import RESEARCH_USE

if TYPE_CHECKING:
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.device.cameras.frame import CameraFacts, Frame
    from allnet_edge.device.cameras.matching import CellSizes
    from allnet_edge.device.cameras.profile import CameraProfile, Matched
    from allnet_edge.device.cameras.survey import Survey

FRAMES = 30
MAX_UM = 100_000.0

app = verb_app()


@app.command()
def camera(
    *,
    source: Annotated[
        str,
        typer.Argument(
            help="csi://0, v4l2:///dev/video0, rtsp://..., http://... (MJPEG), a GStreamer "
            "pipeline, a folder, an image or a video."
        ),
    ],
    um_per_px: Annotated[
        float | None,
        typer.Option("--um-per-px", metavar="X", help="Micrometres per pixel of this camera."),
    ] = None,
    stage_pixels: Annotated[
        float | None,
        typer.Option(metavar="N", help="So many pixels, in a picture of a stage micrometre..."),
    ] = None,
    stage_um: Annotated[
        float | None, typer.Option(metavar="M", help="... span so many micrometres.")
    ] = None,
    match: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Without a micrometre: scale so that cells are as large as this bundle's "
            "training cells. Needs 20 cells; size then carries no information.",
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames to look at.")] = FRAMES,
    seconds: Annotated[
        float,
        typer.Option(
            min=0,
            max=3600,
            help="Look at least so long. With --match on a live camera, move the stage meanwhile "
            "and rest on each field: only new fields count.",
        ),
    ] = 0.0,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="To ask of a V4L2 or CSI camera.")
    ] = None,
    manual_exposure: Annotated[
        bool,
        typer.Option(
            "--manual-exposure",
            help="Switch automatic exposure and white balance of a V4L2 or CSI camera off, now "
            "and whenever it is opened with this profile.",
        ),
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="Of the profile, for people; else the file's.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Store the profile: .toml, or JSON. One that is there is brought up to date.",
        ),
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Look through a camera, and calibrate it.

    Tells resolution, measured rate, brightness, sharpness, and which settings a person should
    change. A calibration belongs to a camera with its objective and its resolution: store it with
    --save and hand it to `run` and `serve`.
    """
    from allnet_edge.cli.views.camera import camera_view
    from allnet_edge.device.cameras.matching import SIZE_IS_LOST
    from allnet_edge.device.cameras.opening import open_camera
    from allnet_edge.device.cameras.profile import write_profile
    from allnet_edge.device.cameras.survey import look_through

    console = Console(as_json=as_json, quiet=quiet)
    console.say(RESEARCH_USE)
    measured = _micrometres(um_per_px, stage_pixels, stage_um, match)
    before = _profile(save, name, size, manual_exposure=manual_exposure)
    bundle, sizes = _cells_of(match)
    opened = open_camera(source, before)
    with opened, console.progress() as progress:
        show = None if sizes is None else counts_cells(opened.facts, sizes)
        found = look_through(opened, frames, seconds=seconds, show=show, progress=progress)
    matched = None if sizes is None else sizes.matched()
    profile = _calibrated(before, found, measured, bundle, matched)
    notes = (_forgotten(before, profile), SIZE_IS_LOST if matched is not None else None)
    misfit = before.misfit(found.facts.width, found.facts.height)  # mended by what is stored now
    for warning in (*found.warnings, *filter(None, notes)):
        if warning != misfit:
            console.warn(warning)
    if save is not None:
        write_profile(save, profile)
    console.result(*camera_view(found, profile, measured, matched, save))


def _micrometres(
    um_per_px: float | None, pixels: float | None, um: float | None, match: Path | None
) -> float | None:
    """Micrometres per pixel, as given in one of the ways; None where in none."""
    from allnet_edge.errors import UsageError

    if (pixels is None) != (um is None):
        raise UsageError("--stage-pixels and --stage-um belong together", fix="give both")
    ways = sum(way is not None for way in (um_per_px, pixels, match))
    if ways > 1:
        raise UsageError(
            "more than one way to calibrate",
            fix="give --um-per-px, or --stage-pixels with --stage-um, or --match",
        )
    for option, value in (("um-per-px", um_per_px), ("stage-pixels", pixels), ("stage-um", um)):
        if value is not None and not 0 < value <= MAX_UM:
            raise UsageError(f"--{option} {value:g} is not above 0 and at most {MAX_UM:g}")
    if pixels is not None and um is not None:
        return um / pixels
    return um_per_px


def _profile(
    save: Path | None, name: str | None, size: str | None, *, manual_exposure: bool
) -> "CameraProfile":
    """What to ask of the camera: the stored profile, changed by the options."""
    from allnet_edge.device.cameras.profile import CameraProfile, read_profile
    from allnet_edge.spec.base import parse

    there = save is not None and save.exists()
    fields = read_profile(save).model_dump() if there and save is not None else {}
    if name is not None or not there:
        fields["name"] = name if name is not None else (save.stem if save is not None else "camera")
    if size is not None:
        fields["width"], fields["height"] = _size(size)
    if manual_exposure:
        fields["exposure"] = "manual"
    return parse(fields, CameraProfile, where="--name, --size or --save")


def _size(text: str) -> tuple[int, int]:
    from allnet_edge.errors import UsageError

    found = re.fullmatch(r"(\d{1,5})\s*[xX]\s*(\d{1,5})", text.strip())
    if found is None:
        raise UsageError(f"--size '{text}' is no size", fix="such as --size 1280x720")
    return int(found[1]), int(found[2])


def _cells_of(match: Path | None) -> "tuple[Bundle | None, CellSizes | None]":
    if match is None:
        return None, None
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.device.cameras.matching import CellSizes

    bundle = Bundle.open(match)
    return bundle, CellSizes(bundle)


def counts_cells(facts: "CameraFacts", sizes: "CellSizes") -> "Callable[[Frame], None]":
    """Measures the cells of each field; those of a live camera only once, however long it rests."""
    from allnet_edge.device.cameras.survey import LIVE
    from allnet_edge.device.live.novelty import FieldChooser

    chooser = FieldChooser() if facts.kind in LIVE else None

    def show(frame: "Frame") -> None:
        if chooser is None or chooser.look(frame.rgb) == "new":
            sizes.add(frame.rgb)

    return show


def _calibrated(
    before: "CameraProfile",
    found: "Survey",
    measured: float | None,
    bundle: "Bundle | None",
    matched: "Matched | None",
) -> "CameraProfile":
    """The profile with what was measured now, for the size that the camera gives now."""
    from allnet_edge.device.cameras.profile import CameraProfile
    from allnet_edge.spec.base import parse

    facts = found.facts
    fields = before.model_dump() | {"width": facts.width, "height": facts.height}
    if before.misfit(facts.width, facts.height):
        fields |= {"um_per_px": None, "scale_to": {}}
    if measured is not None:
        fields["um_per_px"] = measured
    if bundle is not None and matched is not None:
        fields["scale_to"][bundle.sha256] = matched.model_dump()
    return parse(fields, CameraProfile, where="the calibration")


def _forgotten(before: "CameraProfile", profile: "CameraProfile") -> str | None:
    """What the profile held for another size."""
    if not before.calibrated or before.misfit(profile.width, profile.height) is None:
        return None
    return (
        f"The calibration of {before.width} x {before.height} pixels is dropped from the profile: "
        f"it does not hold for {profile.width} x {profile.height}."
    )
