"""A scale without a stage micrometre: cells are made as large as the training cells are.

That works only as far as the cells of this camera are, in truth, as large as those of the training
set, and it takes away what size could have told: lymphoblasts are larger than lymphocytes.
"""

from typing import Final

import numpy as np

from allnet_edge.artifacts.appearance import Appearance
from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.device.cameras.profile import MAX_SCALE, MIN_SCALE, Matched
from allnet_edge.errors import DataError, UsageError
from allnet_edge.segmentation.cell import Field
from allnet_edge.segmentation.finding import find_cells

LEAST_CELLS: Final = 20
SIZE_IS_LOST: Final = (
    "The scale was matched by cell size: whether cells are larger or smaller than the training "
    "cells can no longer be seen, by the network or by the check of cell sizes. Measure "
    "micrometres with a stage micrometre if you can."
)


class CellSizes:
    """Diameters of the white cells in the fields of a camera.

    Args:
        bundle: Whose training cells are the measure.

    Raises:
        UsageError: The bundle does not say how large they are.
    """

    def __init__(self, bundle: Bundle) -> None:
        appearance = bundle.appearance
        if appearance is None or appearance.diameter is None:
            raise UsageError(
                "this bundle does not say how large its training cells are",
                where=bundle.root,
                fix="build it again from more cells, or give --um-per-px or --stage-pixels and "
                "--stage-um",
            )
        self._appearance: Appearance = appearance
        self._wanted = appearance.diameter[1]
        self._found: list[float] = []
        self.fields = 0

    @property
    def cells(self) -> int:
        """Cells measured so far."""
        return len(self._found)

    def add(self, rgb: Field) -> int:
        """Measure the cells of one field that no border cuts; how many there were."""
        whole = [cell for cell in find_cells(rgb) if not cell.cut]
        if self._appearance.diameter_of == "nucleus":
            found = [cell.nucleus_diameter for cell in whole]
        else:
            found = [cell.diameter for cell in whole]
        self._found += [size for size in found if size > 0]
        self.fields += 1
        return len(found)

    def matched(self) -> Matched:
        """The scale that makes the median cell as large as the median training cell.

        Raises:
            DataError: Fewer than ``LEAST_CELLS`` cells, or a scale that no camera has.
        """
        fields = f"{self.fields} field{'s' * (self.fields != 1)}"
        if self.cells < LEAST_CELLS:
            raise DataError(
                f"{self.cells} cells in {fields} are too few to take a scale from; at least "
                f"{LEAST_CELLS}",
                fix="show more fields (--frames; on a live camera --seconds, and move the stage "
                "meanwhile), or give --um-per-px",
            )
        low, median, high = (float(size) for size in np.percentile(self._found, (25, 50, 75)))
        scale = self._wanted / median
        if not MIN_SCALE <= scale <= MAX_SCALE:
            raise DataError(
                f"the {self._appearance.diameter_of} found in {fields} is {median:.1f} px across, "
                f"that of the training cells {self._wanted:.1f} px: no camera differs so much",
                fix="look whether there are white cells in these fields at all",
            )
        return Matched(
            scale=scale,
            cells=self.cells,
            median=median,
            low=low,
            high=high,
            of=self._appearance.diameter_of,
        )
