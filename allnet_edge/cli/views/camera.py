"""How `allnet-edge camera` shows what it saw."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from allnet_edge.device.cameras.profile import CameraProfile, Matched
    from allnet_edge.device.cameras.survey import Spread, Survey


def camera_view(
    found: "Survey",
    profile: "CameraProfile",
    measured: float | None,
    matched: "Matched | None",
    saved: Path | None,
) -> tuple[dict[str, object], Table]:
    """What `--json` gives, and the table for people.

    Args:
        found: What the camera showed.
        profile: As it is, or would be, stored.
        measured: Micrometres per pixel given now; None where not.
        matched: The scale found now; None where not.
        saved: Where the profile was stored.
    """
    payload = found.to_json() | {
        "calibration": _calibration(measured, matched),
        "profile": profile.model_dump(mode="json"),
        "saved": None if saved is None else str(saved),
        "research_use_only": True,
    }
    return payload, _table(found, profile, matched, saved)


def _calibration(measured: float | None, matched: "Matched | None") -> dict[str, object] | None:
    if measured is not None:
        return {"how": "micrometres", "um_per_px": measured}
    if matched is not None:
        return {"how": "matched by cell size", **matched.model_dump(mode="json")}
    return None


def _table(
    found: "Survey", profile: "CameraProfile", matched: "Matched | None", saved: Path | None
) -> Table:
    facts = found.facts
    table = Table("what", "value")
    table.add_row("source", f"{facts.source} ({facts.kind})")
    table.add_row("resolution", f"{facts.width} x {facts.height}")
    table.add_row("rate", _rate(found))
    table.add_row("frames", f"{found.frames} whole, {found.damaged} damaged")
    table.add_row("exposure", facts.exposure)
    table.add_row("brightness, of 255", _spread(found.brightness))
    table.add_row("sharpness (variance of the Laplacian)", _spread(found.sharpness))
    table.add_row("calibration", _scale(profile, matched))
    table.add_row("stored in", "not stored (--save FILE)" if saved is None else str(saved))
    return table


def _rate(found: "Survey") -> str:
    promised = found.facts.rate_hz
    said = "" if promised is None else f" ({promised:g} promised)"
    measured = "not measured" if found.rate_hz is None else f"{found.rate_hz:.1f} frames/s"
    return measured + said


def _spread(spread: "Spread") -> str:
    low, median, high = spread
    return f"median {median:.1f} ({low:.1f} to {high:.1f})"


def _scale(profile: "CameraProfile", matched: "Matched | None") -> str:
    said = []
    if profile.um_per_px is not None:
        said.append(f"{profile.um_per_px:.4g} um per pixel")
    if matched is not None:
        said.append(
            f"{matched.scale:.3f} training pixels per camera pixel, matched by the {matched.of} "
            f"size of {matched.cells} cells (median {matched.median:.1f} px, quartiles "
            f"{matched.low:.1f} to {matched.high:.1f})"
        )
    elif profile.scale_to:
        bundles = len(profile.scale_to)
        said.append(f"matched by cell size to {bundles} bundle{'s' * (bundles != 1)} before")
    return "; ".join(said) or "not calibrated"
