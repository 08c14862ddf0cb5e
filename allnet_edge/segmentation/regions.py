"""What is labelled in a picture, region by region."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Region:
    """One label.

    Attributes:
        label: Its number, from 1.
        area: Pixels.
        x0: Its first column; ``y0`` its first row.
        x1: The first column after it; ``y1`` the first row.
    """

    label: int
    area: int
    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of its box."""
        return np.s_[self.y0 : self.y1, self.x0 : self.x1]

    def around(self, margin: int, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of its box widened by ``margin``, within the picture."""
        rows = slice(max(0, self.y0 - margin), min(height, self.y1 + margin))
        return rows, slice(max(0, self.x0 - margin), min(width, self.x1 + margin))

    def at_border(self, height: int, width: int) -> bool:
        """Whether it touches the border of a picture of this size."""
        return self.x0 <= 0 or self.y0 <= 0 or self.x1 >= width or self.y1 >= height


def regions(labels: Labels) -> list[Region]:
    """The regions of a picture, by their number; what is 0 or less belongs to none."""
    places = np.flatnonzero(labels > 0)
    if places.size == 0:
        return []
    numbers = labels.reshape(-1)[places]
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    rows, columns = np.divmod(places[order].astype(np.int32), np.int32(labels.shape[1]))
    starts = np.flatnonzero(np.diff(numbers, prepend=0))
    areas = np.diff(starts, append=numbers.size)
    table = np.stack(
        [
            numbers[starts],
            areas,
            np.minimum.reduceat(columns, starts),
            np.minimum.reduceat(rows, starts),
            np.maximum.reduceat(columns, starts) + 1,
            np.maximum.reduceat(rows, starts) + 1,
        ],
        axis=-1,
    )
    return [Region(*line) for line in table.tolist()]


def areas(labels: Labels) -> NDArray[np.int64]:
    """The pixels of every region, in no order."""
    counted = np.bincount(np.maximum(labels, 0).reshape(-1))[1:]
    return counted[counted > 0]
