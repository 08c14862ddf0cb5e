"""Serve the microscope's page: live view, slides, corrections, exports; REST beside it."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app
from allnet_edge.cli.views.scale import MicrometresOption, ProfileOption, profile_of
from allnet_edge.intended import RESEARCH_USE

DEFAULT_STORE = Path("slides")
INTERRUPTED = 130

app = verb_app()


class CaptureMode(str, Enum):
    """How fields are chosen from the frames of a camera."""

    auto = "auto"
    every = "every"
    manual = "manual"


@app.command()
def serve(
    *,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    source: Annotated[
        str | None,
        typer.Option(
            help="csi://0, v4l2:///dev/video0, rtsp://..., http://..., a video, an image or a "
            "folder of images; without it fields are uploaded."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; any but a loopback address needs --token-file.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="Its one line must be known to every client.")
    ] = None,
    store: Annotated[Path, typer.Option(help="Folder of the slides.")] = DEFAULT_STORE,
    profile: ProfileOption = None,
    um_per_px: MicrometresOption = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Files: so many a second, like a live camera.")
    ] = None,
    repeat: Annotated[
        bool, typer.Option("--repeat", help="Files: begin again at the end.")
    ] = False,
    capture: Annotated[
        CaptureMode | None,
        typer.Option(help="Default: every frame of a source that ends, else auto."),
    ] = None,
    shadow: Annotated[
        str | None, typer.Option(help="A second candidate, asked beside; disagreement is counted.")
    ] = None,
    candidate: Annotated[
        str | None, typer.Option(help="Use this candidate, not the bundle's choice.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    keep_images: Annotated[
        bool, typer.Option("--keep-images", help="Store the pictures of fields and cells.")
    ] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Serve the page of the microscope until it is ended by Ctrl-C or SIGTERM.

    Listens on this machine alone unless it is told otherwise and given a token. When it ends in the
    middle of a slide, the field in work is stored, the slide is ended as interrupted, and the exit
    code is 130. Exit codes else: 0, 2 address, token or store, 3 camera or disk, 7 bundle changed.
    """
    from allnet_edge.device.service.server import serve as serve_until_ended
    from allnet_edge.device.service.settings import ServiceSettings
    from allnet_edge.device.service.token import read_token
    from allnet_edge.device.service.workbench import WorkOptions

    console = Console(as_json=as_json, quiet=quiet)
    token = None if token_file is None else read_token(token_file)
    settings = ServiceSettings(host=host, port=port, token=token)
    options = WorkOptions(
        bundle=bundle,
        store=store,
        source=source,
        profile=profile_of(profile, um_per_px),
        rate_hz=rate,
        repeat=repeat,
        capture=None if capture is None else capture.value,
        candidate=candidate,
        shadow=shadow,
        threads=threads,
        keep_pictures=keep_images,
    )
    console.say(RESEARCH_USE)
    if not settings.local:
        console.warn("other machines can reach this server; its token travels unencrypted")

    def listening(address: str) -> None:
        if as_json:
            console.result({"address": address, "research_use_only": True}, address)
        else:
            console.say(f"open {address}")

    if serve_until_ended(options, settings, listening):
        raise typer.Exit(INTERRUPTED)
