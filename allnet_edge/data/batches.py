"""Batches of images: which rows come when, with their labels and weights, and reading ahead."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from allnet_edge.data.pixels import Indices, Pending, Pixels, PixelSource

Labels = npt.NDArray[np.float32]
"""[n, 1], class indices: what both heads' losses of Keras take."""

Weights = npt.NDArray[np.float32]
"""[n], of each sample in the loss."""


class Batch(NamedTuple):
    """One batch.

    Attributes:
        pixels: uint8 [b, size, size, 3], 0..255. They travel to the accelerator as they are, a
            quarter of the bytes of float32; the network's input casts them there.
        labels: float32 [b, 1].
        weights: float32 [b], or None where all samples count alike.
    """

    pixels: Pixels
    labels: Labels
    weights: Weights | None


class ImageBatches:
    """One pass over a set of images: holds numbers only, no pixels.

    A pass is fully fixed by its order: killing a run and resuming it gives the same batches.

    Args:
        source: Where the pixels come from; left open.
        labels: Class index of each row of the source.
        batch_size: Images a batch; the last one may be smaller.
        order: Row numbers in the sequence in which they come, all or some of them; None for all
            as they lie.
        weights: Of each row of the source in the loss.

    Raises:
        ValueError: Labels or weights do not fit the source.
    """

    def __init__(
        self,
        source: PixelSource,
        labels: Sequence[int] | npt.NDArray[np.integer],
        batch_size: int,
        *,
        order: Indices | None = None,
        weights: Weights | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size} is below 1")
        self._source = source
        self._labels = np.asarray(labels, np.float32).reshape(-1, 1)
        self._weights = None if weights is None else np.asarray(weights, np.float32)
        self._batch_size = batch_size
        self._order = np.arange(len(source)) if order is None else np.asarray(order, np.int64)
        for name, values in (("labels", self._labels), ("weights", self._weights)):
            if values is not None and len(values) != len(source):
                raise ValueError(f"{len(values)} {name} for {len(source)} images")

    def __len__(self) -> int:
        """Number of batches."""
        return math.ceil(len(self._order) / self._batch_size)

    def __getitem__(self, number: int) -> Batch:
        """One batch, without reading ahead; raises IndexError and what ``Pending.result`` does."""
        return self.finish(number, self.begin(number))

    def __iter__(self) -> Iterator[Batch]:
        """All batches in their order, some ahead; raises what ``Pending.result`` does."""
        with Ahead(self) as ahead:
            for number in range(len(self)):
                yield ahead.take(number)

    def begin(self, number: int) -> Pending:
        """Start on the pixels of a batch."""
        return self._source.begin(self._rows(number))

    def finish(self, number: int, pixels: Pending) -> Batch:
        """Wait for what ``begin`` started."""
        rows = self._rows(number)
        weights = None if self._weights is None else self._weights[rows]
        return Batch(pixels.result(), self._labels[rows], weights)

    def _rows(self, number: int) -> Indices:
        if not 0 <= number < len(self):
            raise IndexError(f"batch {number} is not in 0..{len(self) - 1}")
        return self._order[number * self._batch_size : (number + 1) * self._batch_size]


class Ahead:
    """Keeps the next batches under way; a context manager that drops them at the end.

    Args:
        depth: Batches under way behind the one that is taken.
        kept: Batches behind it that may be taken again without a second reading.
    """

    def __init__(self, batches: ImageBatches, depth: int = 4, kept: int = 0) -> None:
        self._batches, self._depth, self._kept = batches, depth, kept
        self._pending: dict[int, Pending] = {}
        self._closed = False

    def take(self, number: int) -> Batch:
        """Wait for a batch, with the next ones begun.

        Raises:
            RuntimeError: It is closed.
        """
        if self._closed:
            raise RuntimeError("no batch is taken after the end")
        end = number + self._depth + 1
        for other in list(self._pending):
            if not number - self._kept <= other < end + self._kept:
                self._pending.pop(other).cancel()
        for other in range(number, min(end, len(self._batches))):
            if other not in self._pending:
                self._pending[other] = self._batches.begin(other)
        batch = self._batches.finish(number, self._pending[number])
        if not self._kept:
            del self._pending[number]
        return batch

    def close(self) -> None:
        """Drop what is under way."""
        self._closed = True
        while self._pending:
            self._pending.popitem()[1].cancel()

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def shuffled(count: int, seed: tuple[int, int]) -> Indices:
    """The order of the images in one epoch; ``seed`` is (run seed, epoch)."""
    return np.random.default_rng(seed).permutation(count)


def shard(order: Indices, batch_size: int, process: int, processes: int) -> Indices:
    """One process' part of an order, for training in several processes.

    Process k gets the k-th contiguous slice of every global batch, all slices of a batch equally
    large, as synchronous training needs it: its batches are ``ImageBatches(..., batch_size //
    processes, order=shard(...))``, as many on every process. The last global batch is cut to a
    multiple of ``processes``: up to ``processes - 1`` images of an epoch are left out, others in
    every epoch. So this is for training; whoever scores reads all images in one process.

    Args:
        order: Of the global pass, the same on all processes.
        batch_size: Global, a multiple of ``processes``.
        process: Which one this is, from 0.

    Raises:
        ValueError: The batch cannot be shared equally, or there is no such process.
    """
    if not 0 <= process < processes:
        raise ValueError(f"process {process} is not in 0..{processes - 1}")
    if batch_size % processes:
        raise ValueError(f"a batch of {batch_size} cannot be shared among {processes} equally")
    equal = order[: len(order) - (len(order) % batch_size) % processes]
    whole = len(equal) - len(equal) % batch_size
    full = equal[:whole].reshape(-1, processes, batch_size // processes)[:, process]
    rest = equal[whole:].reshape(processes, -1)[process]
    return np.concatenate([full.ravel(), rest])
