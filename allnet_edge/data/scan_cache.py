"""What a scan found out about each file, kept so that unchanged files are not decoded again."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from allnet_edge.artifacts.files import write_json
from allnet_edge.errors import StorageError

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Inspected:
    """One file after it was read.

    Attributes:
        size: Bytes.
        mtime_ns: Time of modification, nanoseconds.
        sha256: Of the bytes; empty where `why` is set.
        width: Pixels.
        height: Pixels.
        why: Why it cannot be used, else None.
        thumbnail: Grey uint8 pixels, row by row; never kept in a file.
    """

    size: int
    mtime_ns: int
    sha256: str = ""
    width: int = 0
    height: int = 0
    why: str | None = None
    thumbnail: bytes | None = None


def read(folder: Path, root: Path) -> dict[str, Inspected]:
    """What is known of the data set in ``root``, by id; empty where nothing usable is kept."""
    try:
        kept = json.loads(_file(folder, root).read_text(encoding="utf-8"))
        if kept["schema_version"] != _SCHEMA:
            return {}
        return {name: Inspected(*row) for name, row in kept["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def write(folder: Path, root: Path, inspected: dict[str, Inspected]) -> None:
    """Keep the results for the next scan; the file appears whole or not at all.

    Raises:
        StorageError: The folder cannot be written.
    """
    files = {
        name: (one.size, one.mtime_ns, one.sha256, one.width, one.height, one.why)
        for name, one in inspected.items()
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(_file(folder, root), {"schema_version": _SCHEMA, "files": files})
    except OSError as error:
        raise StorageError(
            f"cannot keep the results of the scan: {error.strerror}",
            where=folder,
            fix="free space on that disk, or name a folder that can be written",
        ) from error


def _file(folder: Path, root: Path) -> Path:
    where = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return folder / f"index-{where}.json"
