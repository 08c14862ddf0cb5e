"""Images decoded by threads of this process: no start-up, and enough for a few thousand images."""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from allnet_edge.data.pixels import ImageFiles, Indices, Pixels, PixelSource, as_indices


class DecodedByThreads(PixelSource):
    """One pool for as long as the source is open.

    Pillow decodes without the interpreter's lock, but everything around it needs it: beyond a few
    threads, or beside a busy training loop, use `DecodedByProcesses`.

    Args:
        workers: Threads; None for one a core, at most eight.
    """

    def __init__(self, files: ImageFiles, workers: int | None = None) -> None:
        self._files = files
        self._compared = np.zeros(len(files.paths), bool)
        self._pool = ThreadPoolExecutor(workers or min(8, len(os.sched_getaffinity(0))), "decode")

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        return self._files.preprocess.size

    def __len__(self) -> int:
        """Number of images."""
        return len(self._files.paths)

    def begin(self, indices: Indices) -> "_Decoding":
        """See `PixelSource.begin`."""
        wanted = as_indices(indices, len(self))
        batch = np.empty((len(wanted), self.size, self.size, 3), np.uint8)
        return _Decoding(
            batch,
            [
                self._pool.submit(self._decode, batch, row, int(index))
                for row, index in enumerate(wanted)
            ],
        )

    def _decode(self, batch: Pixels, row: int, index: int) -> None:
        self._files.load(index, compare=not self._compared[index], out=batch[row])
        self._compared[index] = True

    def close(self) -> None:
        """See `PixelSource.close`."""
        self._pool.shutdown(cancel_futures=True)


class _Decoding:
    def __init__(self, batch: Pixels, rows: Sequence[Future[None]]) -> None:
        self._batch, self._rows = batch, rows

    def result(self) -> Pixels:
        for row in self._rows:
            row.result()
        return self._batch

    def cancel(self) -> None:
        for row in self._rows:
            row.cancel()
