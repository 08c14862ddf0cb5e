"""Where the nuclei of a field are: the map, a threshold, touching ones split, debris dropped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from allnet_edge.segmentation.cell import Field
from allnet_edge.segmentation.nucleus_map import Grey, grey_world, nucleus_map
from allnet_edge.segmentation.regions import Labels, Region, regions
from allnet_edge.segmentation.ruler import red_cell_diameter
from allnet_edge.segmentation.splitting import Binary, split

FLOOR = 50
"""Of the nucleus map: no threshold below it, or a field without nuclei would be cut in two."""
LEAST_AREA = 0.2
"""Of the expected nucleus: what is smaller is a platelet or debris."""
LEAST_OF_A_RED_CELL = 0.6
"""Of a red cell's diameter, likewise."""
CLOSE = 0.25
"""Of the expected diameter: gaps between the lobes of one nucleus are closed up to it."""
MOST_OF_A_FIELD = 0.4
"""A nucleus that fills more of its field is none, but a coloured ground."""
LEAST_CONTRAST = 1.0
"""Of a nucleus to its surroundings in green, in standard deviations: noise has less."""
LEAST_SOLIDITY = 0.5
"""Area over that of the convex hull: less is a net of many small things."""


@dataclass(frozen=True, slots=True)
class Nuclei:
    """The nuclei of a field.

    Attributes:
        labels: int32 ``[height, width]``: 0 outside, another number for each nucleus.
        regions: The nuclei by their number.
        diameter: Of a typical one, in pixels of ``labels``; 0 where there is none.
        balanced: The field after grey-world balance.
        soft: Its nucleus map.
    """

    labels: Labels
    regions: tuple[Region, ...]
    diameter: float
    balanced: Field
    soft: Grey


def find_nuclei(rgb: Field, diameter: float | None = None) -> Nuclei:
    """Find the nuclei of white cells.

    Args:
        rgb: uint8 ``[height, width, 3]``.
        diameter: Expected of a nucleus in pixels of ``rgb``; None to take it from the field.
    """
    balanced = grey_world(rgb)
    soft = nucleus_map(balanced)
    stained = _stained(soft)
    if not stained.any():
        return Nuclei(np.zeros(soft.shape, np.int32), (), 0.0, balanced, soft)
    ruler = red_cell_diameter(balanced, soft)
    labels, expected = _one_label_each(stained, diameter, ruler)
    kept = tuple(
        region
        for region in regions(labels)
        if _is_nucleus(region, labels, expected, ruler)
        and contrast(region, labels, balanced) >= LEAST_CONTRAST
    )
    return Nuclei(labels, kept, typical_diameter(kept), balanced, soft)


def typical_diameter(found: Sequence[Region]) -> float:
    """The diameter of the region to which the median pixel belongs; 0 without any."""
    if not found:
        return 0.0
    areas = np.sort([region.area for region in found])
    total = np.cumsum(areas)
    return 2 * math.sqrt(float(areas[np.searchsorted(total, total[-1] / 2)]) / math.pi)


def _stained(soft: Grey) -> Binary:
    level, _ = cv2.threshold(soft, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    _, stained = cv2.threshold(soft, max(level, FLOOR), 255, cv2.THRESH_BINARY)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    return np.asarray(cv2.morphologyEx(stained, cv2.MORPH_OPEN, kernel), dtype=np.uint8)


def _one_label_each(
    stained: Binary, diameter: float | None, ruler: float | None
) -> tuple[Labels, float]:
    """The labels after splitting, and the diameter that was expected of a nucleus.

    Without a known diameter clusters make the first guess too large: it is made again of the parts.
    """
    _, whole = cv2.connectedComponents(stained, ltype=cv2.CV_32S)
    expected = diameter or typical_diameter(regions(whole))
    side = max(3, int(expected * CLOSE) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = np.asarray(cv2.morphologyEx(stained, cv2.MORPH_CLOSE, kernel), dtype=np.uint8)
    labels = split(closed, expected, ruler)
    finer = typical_diameter(regions(labels))
    if diameter is None and finer < 0.9 * expected:
        return split(closed, finer, ruler), finer
    return labels, expected


def _is_nucleus(region: Region, labels: Labels, expected: float, ruler: float | None) -> bool:
    area = math.pi / 4 * expected**2
    if not LEAST_AREA * area <= region.area <= MOST_OF_A_FIELD * labels.size:
        return False
    own = 2 * math.sqrt(region.area / math.pi)
    if ruler is not None and own < LEAST_OF_A_RED_CELL * ruler:
        return False
    return _solidity(region, labels) >= LEAST_SOLIDITY


def contrast(region: Region, labels: Labels, balanced: Field) -> float:
    """How far the green of a region lies below that of what is around it and in no region.

    Returns:
        The difference of the means, in standard deviations (the root of the mean variance); the
        discriminability d' of signal detection. 0 where nothing is around it.
    """
    margin = max(2, round(math.sqrt(region.area) / 4))
    window = region.around(margin, *labels.shape)
    green, here = balanced[window][..., 1], labels[window]
    inside, outside = green[here == region.label], green[here <= 0]
    if outside.size == 0:
        return 0.0
    spread = math.sqrt((float(inside.var()) + float(outside.var())) / 2)
    return (float(outside.mean()) - float(inside.mean())) / max(spread, 1.0)


def _solidity(region: Region, labels: Labels) -> float:
    part = (labels[region.window] == region.label).astype(np.uint8)
    contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(contours))
    return region.area / max(cv2.contourArea(hull), 1.0)
