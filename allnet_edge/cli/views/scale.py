"""A camera's calibration, as the command line gives it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from allnet_edge.device.cameras.profile import CameraProfile

ProfileOption = Annotated[
    Path | None, typer.Option("--profile", help="The camera's profile, with its calibration.")
]
MicrometresOption = Annotated[
    float | None,
    typer.Option("--um-per-px", help="Micrometres per camera pixel; over the profile's."),
]


def profile_of(path: Path | None, um_per_px: float | None) -> "CameraProfile":
    """The profile with the calibration that holds.

    Raises:
        RecipeError: A profile or a figure that cannot be used.
    """
    from allnet_edge.device.cameras.profile import CameraProfile, read_profile
    from allnet_edge.spec.base import parse

    profile = CameraProfile() if path is None else read_profile(path)
    if um_per_px is None:
        return profile
    changed = profile.model_dump() | {"um_per_px": um_per_px}
    return parse(changed, CameraProfile, where="--um-per-px")
