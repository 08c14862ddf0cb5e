"""What an importer hands over, and how folders are walked."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Found:
    """One file of a data set, as its name and its label file describe it.

    Attributes:
        path: The file.
        label: Class name; empty where `problem` says that it is unknown.
        patient: As `Sample.patient`, before patients that share a file are merged.
        part: As `Sample.part`.
        order: As `Sample.order`.
        problem: Why the file cannot be used whatever it contains, else None.
    """

    path: Path
    label: str
    patient: str | None = None
    part: str = "all"
    order: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """All files of a data set, and what the user should be told about the set as a whole."""

    found: tuple[Found, ...]
    notes: tuple[str, ...] = ()


def folders_in(root: Path) -> list[Path]:
    """The visible folders in ``root``, sorted; links to folders are not followed."""
    if not root.is_dir():
        return []
    return sorted(
        entry
        for entry in root.iterdir()
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith(".")
    )


def files_in(folder: Path) -> list[Path]:
    """The visible files directly in ``folder``, sorted; none where it is a link or absent."""
    if not folder.is_dir() or folder.is_symlink():
        return []
    return sorted(
        entry for entry in folder.iterdir() if not entry.is_dir() and not entry.name.startswith(".")
    )
