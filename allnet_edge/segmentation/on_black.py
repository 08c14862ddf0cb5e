"""Cells that were cut out already and lie on black, as those of C-NMC do.

There the whole cell is what is not black. No background and no red cell is left to compare with,
and the lymphoblasts that are shown so are nearly all nucleus: where the cell has no second, paler
part, its nucleus is the whole of it.
"""

import cv2
import numpy as np

from allnet_edge.segmentation.cell import Field
from allnet_edge.segmentation.nucleus_map import nucleus_map
from allnet_edge.segmentation.regions import Labels, Region, regions

BLACK = 8
"""The brightest channel of what counts as black; compression leaves a little light."""
MOST_BLACK = 0.3
"""Share of the field that is black, or these are no cells on black."""
LEAST_CELL = 0.002
"""Of the field: what is smaller is a speck."""
STAINED = 50
"""Of the nucleus map, from which on a pixel is stained."""
LEAST_STAINED = 0.4
"""Of a cell; the lit disc of an eyepiece, with a whole smear in it, has far less."""
PALER = 1.5
"""Cytoplasm is brighter than its nucleus by this factor, in green, or is not told apart."""


def cells_on_black(rgb: Field) -> tuple[Labels, Labels] | None:
    """The cells of a field of cells on black.

    Args:
        rgb: uint8 ``[height, width, 3]``.

    Returns:
        Whole cells and their nuclei, int32 ``[height, width]`` with the same number for both, or
        None where the field is something else.
    """
    lit = cv2.inRange(rgb, (0, 0, 0), (BLACK, BLACK, BLACK)) == 0
    if np.count_nonzero(lit) > (1 - MOST_BLACK) * lit.size:
        return None
    stained = (nucleus_map(rgb) >= STAINED) & lit
    if np.count_nonzero(stained) <= LEAST_STAINED * np.count_nonzero(lit):
        return None
    cells = np.zeros(lit.shape, np.int32)
    cv2.connectedComponents(lit.astype(np.uint8), cells, ltype=cv2.CV_32S)
    nuclei = np.zeros_like(cells)
    for region in regions(cells):
        here = cells[region.window] == region.label
        few = np.count_nonzero(stained[region.window] & here) < LEAST_STAINED * region.area
        if few or region.area < LEAST_CELL * lit.size:
            cells[region.window][here] = 0
        else:
            nucleus = here & ~_pale(rgb, region, here)
            nuclei[region.window][nucleus] = region.label
    return cells, nuclei


def _pale(rgb: Field, region: Region, here: np.ndarray) -> np.ndarray:
    """The cytoplasm of a cell whose two parts are clearly of different brightness."""
    green = np.ascontiguousarray(rgb[region.window][..., 1])
    level, _ = cv2.threshold(green[here].reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    pale = green > level
    inside, outside = green[here & ~pale], green[here & pale]
    if outside.size == 0 or outside.mean() < PALER * max(inside.mean(), 1.0):
        return np.zeros_like(here)
    smooth = cv2.medianBlur(pale.astype(np.uint8), 5)
    return np.asarray(smooth > 0)
