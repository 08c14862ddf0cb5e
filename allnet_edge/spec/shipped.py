"""Where the files that travel with the package lie: targets/ and calibration/."""

from pathlib import Path

import allnet_edge
from allnet_edge.errors import EnvironmentMismatch


def shipped_folder(name: str) -> Path:
    """A folder that ships with the package: inside the wheel, or beside it in a checkout.

    Raises:
        EnvironmentMismatch: It is in neither place.
    """
    package = Path(allnet_edge.__file__).parent
    # The wheel's own copy first: beside an installed package lie the folders of others.
    for folder in (package / "_shipped" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise EnvironmentMismatch(
        f"this installation has no folder '{name}'", where=package, fix="install allnet-edge again"
    )
