"""What an importer hands over, and how folders are walked."""

from dataclasses import dataclass
from pathlib import Path

from allnet_edge.errors import DataError


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
    """The visible folders in ``root``, sorted; links to folders are not followed.

    Raises:
        DataError: The folder cannot be listed.
    """
    return [entry for entry in _visible(root) if entry.is_dir() and not entry.is_symlink()]


def files_in(folder: Path) -> list[Path]:
    """The visible files directly in ``folder``, sorted; none where it is a link or absent.

    Raises:
        DataError: The folder cannot be listed.
    """
    if folder.is_symlink():
        return []
    return [entry for entry in _visible(folder) if not entry.is_dir()]


def _visible(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(f"cannot list the folder: {error.strerror}", where=folder) from error
    return [entry for entry in entries if not entry.name.startswith(".")]
