"""What a scan found out about each file, kept so that unchanged files are not decoded again.

Unchanged means: the same path, size, time of modification and time of change. The last is set by
the kernel at every write and every rename, and no program can set it back (`touch` and `cp -p` set
the time of modification only), so that other bytes under an old name, size and date are seen. Not
seen: a change within the tick of the kernel's clock (milliseconds) in which the file was read
before, a clock that was set back, and a disk that was written around the file system.
"""

import base64
import hashlib
import json
import os
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from allnet_edge.artifacts.files import write_json
from allnet_edge.errors import StorageError

_SCHEMA = 3


@dataclass(frozen=True, slots=True)
class Inspected:
    """One file after it was read.

    Attributes:
        stamp: Size in bytes; times of modification and of change in nanoseconds.
        sha256: Of the bytes; empty where `why` is set.
        width: Pixels.
        height: Pixels.
        why: Why it cannot be used, else None.
        thumbnail: As `leakage.thumbnail` makes it; empty where `why` is set.
    """

    stamp: tuple[int, int, int]
    sha256: str = ""
    width: int = 0
    height: int = 0
    why: str | None = None
    thumbnail: bytes = b""


def read(folder: Path, root: Path) -> dict[str, Inspected]:
    """What is known of the data set in ``root``, by id; empty where nothing usable is kept."""
    try:
        kept = json.loads(_file(folder, root).read_text(encoding="utf-8"))
        if kept["schema_version"] != _SCHEMA:
            return {}
        return {name: _inspected(row) for name, row in kept["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def write(folder: Path, root: Path, inspected: dict[str, Inspected]) -> None:
    """Keep the results for the next scan; the file appears whole or not at all.

    Raises:
        StorageError: The folder cannot be written.
    """
    files = {
        name: (*one.stamp, *astuple(one)[1:-1], base64.b64encode(one.thumbnail).decode())
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


def _inspected(row: list[Any]) -> Inspected:  # a row of JSON: its columns differ in type
    size, mtime_ns, ctime_ns, sha256, width, height, why, small = row
    stamp = (size, mtime_ns, ctime_ns)
    return Inspected(stamp, sha256, width, height, why, base64.b64decode(small))


def _file(folder: Path, root: Path) -> Path:
    where = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return folder / f"index-{where}.json"
