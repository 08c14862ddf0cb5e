"""Memory that worker processes decode into and that batches are views of, without a copy.

It is a memfd: it has no name in the file system, no limit of /dev/shm touches it, and it is gone
with the last process or array that holds it, however that ended. It is laid out far larger than it
will ever be; only what is written takes memory.
"""

import mmap
import os
import weakref
from collections import defaultdict, deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.data.pixels import Pixels
from allnet_edge.errors import EnvironmentMismatch

MOST_WORKERS = 512
IDLE = -1
_KEPT_FREE = 8  # pieces of one size whose memory is not given back at once


@dataclass(frozen=True, slots=True)
class Mapped:
    """The memory as a process sees it.

    Attributes:
        in_hand: int64 [workers], the image that each is decoding, or IDLE.
        compared: bool [images], whose hash has been compared.
        pixels: uint8 [bytes].
    """

    in_hand: npt.NDArray[np.int64]
    compared: npt.NDArray[np.bool_]
    pixels: Pixels

    @classmethod
    def of(cls, memory: mmap.mmap, images: int) -> "Mapped":
        """The parts of the memory for so many images."""
        after = 8 * MOST_WORKERS
        return cls(
            np.frombuffer(memory, np.int64, MOST_WORKERS),
            np.frombuffer(memory, np.bool_, images, after),
            np.frombuffer(memory, np.uint8, offset=_whole_pages(after + images)),
        )


class SharedPixels:
    """The memory in the process that hands out batches. Not for several threads at once.

    Args:
        images: Number of images of the source.

    Attributes:
        descriptor: For the workers; closed by ``close``.

    Raises:
        OSError: There is no memory to be had.
    """

    def __init__(self, images: int) -> None:
        self.descriptor = os.memfd_create("decoded pixels")
        try:
            # Pixels beyond the machine's memory cannot be held; sizes are rounded up to twice.
            physical = os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE
            os.ftruncate(self.descriptor, 2 * physical + _whole_pages(8 * MOST_WORKERS + images))
            self._memory = mmap.mmap(self.descriptor, 0)
        except BaseException:
            os.close(self.descriptor)
            raise
        self.mapped = Mapped.of(self._memory, images)
        self.mapped.in_hand[:] = IDLE
        self._end = 0
        self._free: defaultdict[int, deque[int]] = defaultdict(deque)
        self._dropped: deque[tuple[int, int]] = deque()

    def batch(self, rows: int, size: int) -> tuple[int, Pixels]:
        """Room for images.

        Returns:
            Where in ``Mapped.pixels`` it begins, and uint8 [rows, size, size, 3], whose memory is
            used again once neither the array nor any view of it is left.

        Raises:
            EnvironmentMismatch: More is held than the machine has memory.
        """
        self._take_back()
        nbytes = rows * size * size * 3
        # Powers of two, so that batches of nearly one size use the same pieces.
        piece = max(mmap.PAGESIZE, 1 << (nbytes - 1).bit_length())
        free = self._free[piece]
        start = free.pop() if free else self._new(piece)
        part = self.mapped.pixels[start : start + nbytes].reshape(rows, size, size, 3)
        lease = _Lease(part)
        # Only a queue is touched there: it may happen in any thread and amid anything.
        weakref.finalize(lease, self._dropped.append, (piece, start)).atexit = False
        return start, np.asarray(lease)

    def close(self) -> None:
        """Start no further batch; those that are held stay as they are."""
        os.close(self.descriptor)

    def _new(self, piece: int) -> int:
        start = self._end
        if start + piece > self.mapped.pixels.size:
            raise EnvironmentMismatch(
                "more decoded pixels are held than this machine has memory",
                fix="use a smaller --batch-size or --input-size",
            )
        self._end += piece
        return start

    def _take_back(self) -> None:
        while self._dropped:
            piece, start = self._dropped.popleft()
            free = self._free[piece]
            if len(free) < _KEPT_FREE:
                free.append(start)
            else:
                at = len(self._memory) - self.mapped.pixels.size + start
                self._memory.madvise(mmap.MADV_REMOVE, at, piece)
                free.appendleft(start)


class _Lease:
    """What a batch and all views of it keep alive: numpy would pass over an array here."""

    def __init__(self, part: Pixels) -> None:
        self._part = part
        self.__array_interface__ = part.__array_interface__


def _whole_pages(nbytes: int) -> int:
    return -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
