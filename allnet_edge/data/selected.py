"""Some rows of a source as a source: the parts of a split share one pool and one cache."""

import numpy as np

from allnet_edge.data.pixels import Indices, Pending, PixelSource, as_indices


class Selected(PixelSource):
    """A view; closing it leaves the source open.

    Args:
        rows: int64 [n], row numbers of the source; row k of the view is the source's ``rows[k]``.

    Raises:
        IndexError: A number that the source does not have.
    """

    def __init__(self, source: PixelSource, rows: Indices) -> None:
        self._source = source
        self._rows = as_indices(rows, len(source))

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        return self._source.size

    def __len__(self) -> int:
        """Number of images."""
        return len(self._rows)

    def begin(self, indices: Indices) -> Pending:
        """See `PixelSource.begin`."""
        return self._source.begin(np.asarray(self._rows[as_indices(indices, len(self))]))

    def close(self) -> None:
        """Nothing: the source is closed by whoever opened it."""
