"""Decoded pixels kept on disk: read through a memory map, so that a row costs one copy.

An entry is two files: ``pixels-<key>.npy``, uint8 [n, size, size, 3], and ``pixels-<key>.json``,
which is written last and describes it; without that the pixels do not count. The key is a hash over
everything that decides the pixels, so that a changed file or setting is another entry and none is
ever out of date.
"""

import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from allnet_edge.artifacts.files import canonical_json, read_json, sha256_bytes, write_json
from allnet_edge.data.images import DECODE_VERSION
from allnet_edge.data.pixels import ImageFiles, Indices, Pixels, PixelSource, as_indices
from allnet_edge.errors import IntegrityError

_SCHEMA = 1
_READERS = 2
_ROWS_CHECKED = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the pixels of one set of files lie, whether they are there or not.

    Attributes:
        folder: Of the cache.
        key: Hash over the files, the preprocessing and how it is done.
        rows: Number of images.
        size: Side of the square images in pixels.
    """

    folder: Path
    key: str
    rows: int
    size: int

    @classmethod
    def of(cls, folder: Path, files: ImageFiles) -> "Entry":
        """The entry of these files.

        The version of Pillow belongs to the key, since another decoder may round otherwise.

        Raises:
            ValueError: The hashes of the files are not known.
        """
        if files.sha256 is None:
            raise ValueError("a cache needs the sha256 of each file")
        decides = {
            "schema": _SCHEMA,
            "decode_version": DECODE_VERSION,
            "pillow": PIL.__version__,
            "preprocess": files.preprocess.model_dump(
                mode="json", include={"colour", "crop", "size", "resize"}
            ),
            "sha256": list(files.sha256),
        }
        key = sha256_bytes(canonical_json(decides))
        return cls(folder, key, len(files.paths), files.preprocess.size)

    @property
    def pixels(self) -> Path:
        """The file of the pixels."""
        return self.folder / f"pixels-{self.key[:32]}.npy"

    @property
    def description(self) -> Path:
        """The file that makes them count."""
        return self.pixels.with_suffix(".json")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[n, size, size, 3]."""
        return self.rows, self.size, self.size, 3

    @property
    def nbytes(self) -> int:
        """Of the pixels."""
        return self.rows * self.size * self.size * 3

    def seal(self, checksums: Sequence[int]) -> None:
        """Declare the pixels whole; ``checksums`` has the CRC-32 of each row."""
        write_json(
            self.description,
            {
                "schema_version": _SCHEMA,
                "key": self.key,
                "shape": list(self.shape),
                "dtype": "uint8",
                "crc32": list(checksums),
            },
        )


class PixelCache(PixelSource):
    """The pixels of an entry that is there.

    Any number of processes may read it at once; they share the pages that the system keeps in
    memory. The row checksums are compared for a sample of rows when it is opened, not later.

    Raises:
        FileNotFoundError: It is not there.
        IntegrityError: It is damaged; `pixel_cache_fill` makes it again.
    """

    def __init__(self, entry: Entry) -> None:
        if not entry.description.exists():
            raise FileNotFoundError(entry.description)
        self._entry = entry
        self._pixels = _mapped(entry)
        _check(entry, self._pixels)
        self._pool = ThreadPoolExecutor(_READERS, "cached pixels")

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        return self._entry.size

    def __len__(self) -> int:
        """Number of images."""
        return self._entry.rows

    def begin(self, indices: Indices) -> "Future[Pixels]":
        """See `PixelSource.begin`; a thread waits for the disk, where it has to be waited for."""
        wanted = as_indices(indices, len(self))
        # Made here, not in the thread: the allocator then gives the caller's last batch again.
        batch = np.empty((len(wanted), self.size, self.size, 3), np.uint8)
        return self._pool.submit(self._copy, wanted, batch)

    def _copy(self, wanted: Indices, batch: Pixels) -> Pixels:
        # With "raise" numpy would copy by way of a buffer; nothing is left to clip.
        return np.take(self._pixels, wanted, axis=0, out=batch, mode="clip")

    def close(self) -> None:
        """See `PixelSource.close`."""
        self._pool.shutdown(cancel_futures=True)


def _mapped(entry: Entry) -> Pixels:
    try:
        mapped = np.load(entry.pixels, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:  # no header, or shorter than it says
        raise IntegrityError(f"unusable cached pixels: {error}", where=entry.pixels) from error
    if not isinstance(mapped, np.memmap) or (mapped.shape, mapped.dtype) != (entry.shape, np.uint8):
        raise IntegrityError(f"not uint8 {list(entry.shape)} cached pixels", where=entry.pixels)
    if entry.pixels.stat().st_size != mapped.offset + entry.nbytes:
        raise IntegrityError("the cached pixels do not end where they should", where=entry.pixels)
    return np.asarray(mapped)


def _check(entry: Entry, pixels: Pixels) -> None:
    """The description, and the checksums of rows spread over all of the file."""
    told = read_json(entry.description)
    if not isinstance(told, dict) or told.get("key") != entry.key:
        raise IntegrityError("the description of another entry", where=entry.description)
    checksums = told.get("crc32")
    if not isinstance(checksums, list) or len(checksums) != entry.rows:
        raise IntegrityError("the description lacks checksums", where=entry.description)
    for row in np.unique(np.linspace(0, entry.rows - 1, _ROWS_CHECKED).astype(np.int64)).tolist():
        if zlib.crc32(pixels[row]) != checksums[row]:
            raise IntegrityError(f"row {row} of the cached pixels is damaged", where=entry.pixels)
