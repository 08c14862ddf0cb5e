"""Filling the cache of decoded pixels: once, whole or not at all, by one process at a time.

The pixels are written to ``<name>.part``, which the writer holds locked; the lock ends with the
process, so that what a killed one leaves behind is known to be nobody's and is removed.
"""

import fcntl
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from allnet_edge.artifacts.files import sync_folder
from allnet_edge.data.batches import ImageBatches
from allnet_edge.data.pixel_cache import Entry, PixelCache
from allnet_edge.data.pixels import PixelSource
from allnet_edge.errors import IntegrityError, StorageError
from allnet_edge.progress import Progress, silent

_ROWS_AT_ONCE = 32


def cached(
    entry: Entry, decoder: Callable[[], PixelSource], progress: Progress = silent
) -> PixelCache:
    """Open an entry; fill it first where it is absent or damaged.

    Args:
        decoder: Opens the source whose rows are kept; used, and closed, only to fill.
        progress: Told while it is filled, and why.

    Raises:
        StorageError: The folder cannot be written, or the disk is too small or full.
        ImageError: A file cannot be decoded.
        IntegrityError: A file is not the one that was indexed.
        EnvironmentMismatch: Whoever decodes has ended.
    """
    found = _usable(entry, progress)
    if found is not None:
        return found
    try:
        entry.folder.mkdir(parents=True, exist_ok=True)
        with _locked(entry, progress) as part:
            # Another process may have filled it in the meantime.
            return _usable(entry, progress) or _fill(entry, part, decoder, progress)
    except OSError as error:
        raise StorageError(
            f"cannot keep decoded pixels: {error.strerror or error}",
            where=error.filename or entry.folder,
            fix="free space on that disk, name another folder with --cache, or train without it",
        ) from error


def _usable(entry: Entry, progress: Progress) -> PixelCache | None:
    try:
        return PixelCache(entry)
    except FileNotFoundError:
        return None
    except IntegrityError as error:
        progress(f"decoding again: {error.what}", 0, 0)
        return None


@contextmanager
def _locked(entry: Entry, progress: Progress) -> Iterator[BinaryIO]:
    """An unfinished file of one's own; it is removed unless it was renamed."""
    path = _part(entry)
    while True:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as part:
            if not _try_lock(part):
                progress("waiting for another process that decodes the same images", 0, 0)
                fcntl.flock(part, fcntl.LOCK_EX)
            # Whoever held it has renamed or removed it, or it was always the one that lies there.
            if not _is_at(path, part):
                continue
            try:
                yield part
            finally:
                if _is_at(path, part):
                    path.unlink()
            return


def _fill(
    entry: Entry, part: BinaryIO, decoder: Callable[[], PixelSource], progress: Progress
) -> PixelCache:
    entry.description.unlink(missing_ok=True)  # of a damaged file
    _remove_leftovers(entry)
    _make_room(entry, part)
    checksums: list[int] = []
    with decoder() as source:
        for batch in ImageBatches(source, [0] * entry.rows, _ROWS_AT_ONCE):
            checksums += [zlib.crc32(row) for row in batch.pixels]
            part.write(batch.pixels.data)
            progress("decoding into the cache", len(checksums), entry.rows)
    part.flush()
    os.fsync(part.fileno())
    _part(entry).replace(entry.pixels)
    sync_folder(entry.folder)
    entry.seal(checksums)
    return PixelCache(entry)


def _make_room(entry: Entry, part: BinaryIO) -> None:
    """Write the header and reserve the whole file, before hours are spent on filling it."""
    part.truncate(0)
    np.lib.format.write_array_header_1_0(
        part, {"descr": "|u1", "fortran_order": False, "shape": entry.shape}
    )
    part.flush()
    free = shutil.disk_usage(entry.folder).free
    if entry.nbytes > free:
        raise StorageError(
            f"the decoded pixels need {_gigabytes(entry.nbytes)}, "
            f"{_gigabytes(free)} are free on that disk",
            where=entry.folder,
            fix="free space, name another folder with --cache, or train without it",
        )
    if entry.nbytes:
        os.posix_fallocate(part.fileno(), part.tell(), entry.nbytes)


def _remove_leftovers(entry: Entry) -> None:
    """Unfinished files of killed processes, of any entry: they may be large."""
    for path in entry.folder.glob("pixels-*.npy.part"):
        if path != _part(entry):
            with suppress(FileNotFoundError), path.open("r+b") as part:
                if _try_lock(part) and _is_at(path, part):
                    path.unlink()


def _part(entry: Entry) -> Path:
    return entry.pixels.with_suffix(".npy.part")


def _try_lock(part: BinaryIO) -> bool:
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, part: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(part.fileno()))
    except FileNotFoundError:
        return False


def _gigabytes(nbytes: int) -> str:
    return f"{nbytes / 1e9:,.2f} GB"
