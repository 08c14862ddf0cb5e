"""One white cell of a field, as it was found."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1) in pixels of the field; x1 and y1 are the first column and row outside."""

Mask = NDArray[np.bool_]

Field = NDArray[np.uint8]
"""[height, width, 3], RGB, 0..255: one field of view as the camera gives it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A white cell: nucleus and cytoplasm, in pixels of the field.

    Attributes:
        box: Around the whole cell.
        mask: The whole cell, bool ``[y1 - y0, x1 - x0]`` of ``box``.
        nucleus: The nucleus, of the same shape.
        cut: The border of the field cuts through it.
        sharpness: Of the nucleus' edge, >= 0; a share of what a sharp edge of the same contrast
            would have, so that it can be compared across stains (see ``segmentation.focus``).
    """

    box: Box
    mask: Mask
    nucleus: Mask
    cut: bool
    sharpness: float

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle of the box, in pixels of the field."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2

    @property
    def diameter(self) -> float:
        """Of the circle with the area of the whole cell, in pixels of the field."""
        return 2 * math.sqrt(int(self.mask.sum()) / math.pi)

    @property
    def nucleus_diameter(self) -> float:
        """Of the circle with the area of the nucleus, in pixels of the field."""
        return 2 * math.sqrt(int(self.nucleus.sum()) / math.pi)
