"""Where the pixels of a training run come from: one protocol, however they are decoded or kept.

A source answers for rows by their number. Asking and taking are apart, so that several batches are
under way while the network computes: ``begin`` returns at once, ``result`` waits.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from allnet_edge.data import images
from allnet_edge.errors import ImageError, IntegrityError
from allnet_edge.spec.network import Preprocess

Pixels = npt.NDArray[np.uint8]
"""[n, size, size, 3], RGB, 0..255: what ``data.images`` makes."""

Indices = npt.NDArray[np.int64]
"""[n], row numbers of a source."""

_Source = TypeVar("_Source", bound="PixelSource")


class Pending(Protocol):
    """Rows that were asked for."""

    def result(self) -> Pixels:
        """Wait for them; every call gives the same array, which nobody else writes to.

        Raises:
            ImageError: An image cannot be decoded: the first one of those asked for.
            IntegrityError: A file is not the one that was indexed.
            EnvironmentMismatch: Whoever decodes has ended.
        """
        ...

    def cancel(self) -> object:
        """Drop what has not begun; ``result`` is not called any more."""
        ...


class PixelSource(Protocol):
    """Images by number, decoded and resized; a context manager that releases what it holds.

    May be used by several threads.
    """

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def begin(self, indices: Indices) -> Pending:
        """Start on rows, in any order and with repeats; does not wait.

        Raises:
            IndexError: A number that is none of ``0..len - 1``.
        """
        ...

    def close(self) -> None:
        """Stop threads and processes, drop what is under way; may be called twice."""
        ...

    def rows(self, indices: Indices) -> Pixels:
        """The rows, uint8 [n, size, size, 3]; raises what ``Pending.result`` does."""
        return self.begin(indices).result()

    def __enter__(self: _Source) -> _Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Files and how each becomes a tensor.

    Attributes:
        paths: One file a row.
        preprocess: Crop and size; mean and sd are not used here.
        sha256: Of each file as it was indexed, lower-case hex; a source compares it with what it
            decodes when it first reads a file. None trusts the files.
    """

    paths: Sequence[Path]
    preprocess: Preprocess
    sha256: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None and len(self.sha256) != len(self.paths):
            raise ValueError(f"{len(self.sha256)} hashes for {len(self.paths)} files")

    def load(self, row: int, *, compare: bool = True, out: Pixels | None = None) -> Pixels:
        """Read, compare and decode one file, uint8 [size, size, 3].

        Args:
            compare: With its hash, if that is known. It costs a tenth of the decoding of a bitmap,
                so that sources do it once.
            out: uint8 [size, size, 3], written and returned; None makes an array.

        Raises:
            ImageError: As ``images.load``.
            IntegrityError: The bytes are not those that were indexed.
        """
        if self.sha256 is None or not compare:
            return images.load(self.paths[row], self.preprocess, out)
        return _load_compared(self.paths[row], self.preprocess, self.sha256[row], out)


def _load_compared(path: Path, preprocess: Preprocess, sha256: str, out: Pixels | None) -> Pixels:
    """``images.load``, of the very bytes whose hash was compared."""
    data = images.read_bytes(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise IntegrityError(
            "the file changed after it was indexed",
            where=path,
            fix="restore it, or start again: the data set is then read anew",
        )
    try:
        return images.load(data, preprocess, out)
    except ImageError as error:  # bytes have no name
        raise ImageError(error.what, where=path, fix=error.fix) from error


def as_indices(indices: Indices, count: int) -> Indices:
    """Checked row numbers; raises IndexError."""
    wanted = np.asarray(indices, np.int64)
    if wanted.ndim != 1:
        raise IndexError(f"row numbers of shape {wanted.shape}; one dimension is expected")
    outside = wanted[(wanted < 0) | (wanted >= count)]
    if outside.size:
        raise IndexError(f"row {outside[0]} is not in 0..{count - 1}")
    return wanted
