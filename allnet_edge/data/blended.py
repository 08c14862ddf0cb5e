"""Synthetic images between two real ones (SMOTE), made when a batch is read and never stored."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.data.pixels import Indices, Pending, Pixels, PixelSource, as_indices

_THREADS = 2  # beside the training loop, which should not wait for the arithmetic


class Blended(PixelSource):
    """A source with blends after its own rows.

    Row ``len(source) + k`` is ``round((1 - u) * a + u * b)``, half to even, where a and b are the
    rows ``pairs[k]`` of the source and u is ``shares[k]``.

    Args:
        source: Of the real images; closed with this one.
        pairs: int64 [m, 2], rows of the source, both of one class.
        shares: float32 [m], 0..1, of the second one.

    Raises:
        ValueError: Pairs and shares do not fit each other or the source.
    """

    def __init__(
        self, source: PixelSource, pairs: Indices, shares: npt.NDArray[np.float32]
    ) -> None:
        self._pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
        self._shares = np.asarray(shares, np.float32)
        if self._shares.shape != (len(self._pairs),):
            raise ValueError(f"{self._shares.shape} shares for {len(self._pairs)} pairs")
        if not ((self._shares >= 0) & (self._shares <= 1)).all():
            raise ValueError("a share lies outside 0..1")
        if self._pairs.size and not 0 <= self._pairs.min() <= self._pairs.max() < len(source):
            raise ValueError(f"a pair names a row that is not in 0..{len(source) - 1}")
        self._source = source
        self._pool = ThreadPoolExecutor(_THREADS, "blending")

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        return self._source.size

    def __len__(self) -> int:
        """Number of images, the blends among them."""
        return len(self._source) + len(self._pairs)

    def begin(self, indices: Indices) -> Pending:
        """See `PixelSource.begin`."""
        wanted = as_indices(indices, len(self))
        at = np.flatnonzero(wanted >= len(self._source))
        if not at.size:
            return self._source.begin(wanted)
        blends = wanted[at] - len(self._source)
        first = wanted.copy()
        first[at] = self._pairs[blends, 0]
        second = self._pairs[blends, 1]
        asked = self._source.begin(np.concatenate([first, second]))
        return _Blending(asked, self._pool.submit(_mix, asked, at, self._shares[blends]))

    def close(self) -> None:
        """See `PixelSource.close`."""
        self._source.close()  # first: work that waits for it ends with it
        self._pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Blending:
    """What was asked of the source, and the work that waits for it."""

    asked: Pending
    mixed: "Future[Pixels]"

    def result(self) -> Pixels:
        return self.mixed.result()

    def cancel(self) -> None:
        self.mixed.cancel()
        self.asked.cancel()


def _mix(asked: Pending, at: Indices, shares: npt.NDArray[np.float32]) -> Pixels:
    """Blend some rows with those that follow the batch.

    Args:
        asked: The batch, then the second image of each blend.
        at: int64 [k], where the blends lie in the batch.
        shares: float32 [k].
    """
    pixels = asked.result()
    count = len(pixels) - len(at)
    batch: Pixels = pixels[:count].copy()
    for row, other, share in zip(at, pixels[count:], shares, strict=True):
        mixed = np.multiply(batch[row], np.float32(1) - share, dtype=np.float32)
        mixed += np.multiply(other, share, dtype=np.float32)
        batch[row] = np.rint(mixed, out=mixed)
    return batch
