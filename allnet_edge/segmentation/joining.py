"""Nuclei that lie in one cell are one nucleus: the lobes of a granulocyte.

Size does not tell the two lobes of an eosinophil from two small lymphocytes that touch. The outline
of the cell does: two cells have a waist between them, one cell has none.
"""

import math
from collections.abc import Container

import cv2
import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.regions import Labels, Region, regions

WAIST = 1.0
"""The line between two cells is at most this share of the narrower one's width."""


def joined(cells: Labels, apart: Container[int]) -> dict[int, int]:
    """Which cells are parts of another.

    Args:
        cells: int32 ``[height, width]``: 0 outside, a number for each cell.
        apart: Those that are whole cells for certain: no two of them are joined.

    Returns:
        For each part that goes to another the number of that one, which goes to none itself.
    """
    found = {region.label: region for region in regions(cells)}
    if len(found) < 2:
        return {}
    lines = _lines(cells)
    widths = {label: _width(found[label], cells) for pair in lines for label in pair}
    goes = {label: label for label in found}
    for (one, other), length in sorted(lines.items(), key=lambda item: -item[1]):
        if one in apart and other in apart:
            continue
        if length > WAIST * min(widths[one], widths[other]):
            keep, drop = goes[one], goes[other]
            goes = {label: keep if to == drop else to for label, to in goes.items()}
    return {label: to for label, to in goes.items() if label != to}


def _lines(cells: Labels) -> dict[tuple[int, int], float]:
    """How long the line between each two cells that touch is, from end to end."""
    places: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for first, second in ((cells[:, :-1], cells[:, 1:]), (cells[:-1], cells[1:])):
        meet = (first != second) & (first > 0) & (second > 0)
        for place in np.flatnonzero(meet).tolist():
            row, column = divmod(place, meet.shape[1])
            a, b = int(first[row, column]), int(second[row, column])
            places.setdefault((min(a, b), max(a, b)), []).append((row, column))
    return {pair: _span(np.array(points, np.int32)) for pair, points in places.items()}


def _span(points: NDArray[np.int32]) -> float:
    hull = cv2.convexHull(points).reshape(-1, 2)
    return max(math.dist(a, b) for a in hull.tolist() for b in hull.tolist()) + 1


def _width(region: Region, cells: Labels) -> float:
    part = np.pad(cells[region.window] == region.label, 1).astype(np.uint8)
    return 2 * float(cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())
