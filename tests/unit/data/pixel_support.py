"""What the tests of the pixel sources share: files with their hashes, and who still runs."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from allnet_edge.data.pixels import ImageFiles
from allnet_edge.spec.network import Preprocess

PREPROCESS = Preprocess(size=32)


def files_of(paths: list[Path], preprocess: Preprocess = PREPROCESS) -> ImageFiles:
    """As an index knows them."""
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return ImageFiles(paths, preprocess, hashes)


def decoders(parent: int | None = None) -> list[int]:
    """The running worker processes of a parent, by default of this process."""
    parent = parent or os.getpid()
    return [pid for pid in _processes() if _is_decoder(pid) and _parent(pid) == parent]


def is_decoder(pid: int) -> bool:
    """Whether this worker process still runs, whoever its parent is now."""
    return _is_decoder(pid)


def eventually(true: Callable[[], object], seconds: float = 20) -> bool:
    """Wait until it is; generous, since the machine may be busy."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _is_decoder(pid: int) -> bool:
    try:
        return b"decode_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0
