"""Where the nuclei of a field are: the map, a threshold, touching ones split, debris dropped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.cell import Field
from allnet_edge.segmentation.nucleus_map import Grey, grey_world, nucleus_map
from allnet_edge.segmentation.regions import Labels, Region, areas, regions
from allnet_edge.segmentation.ruler import red_cell_diameter
from allnet_edge.segmentation.splitting import Binary, components, split

FLOOR = 50
"""Of the nucleus map: no threshold below it, or a field without nuclei would be cut in two."""
LEAST_AREA = 0.2
"""Of the expected nucleus: what is smaller is a platelet or debris."""
LEAST_OF_A_RED_CELL = 0.68
"""Of a red cell's diameter, likewise ..."""
LEAST_OF_A_CUT_ONE = 0.5
"""... where the border of the field cuts it."""
OWN = 0.55
"""Of the expected diameter: as wide as this, a part of a cluster is a nucleus of its own."""
OWN_OF_A_RED_CELL = 1.1
"""Of a red cell's diameter, likewise, where there are red cells: a lobe has about half of one."""
SURE_OF_A_RED_CELL = 1.45
"""Of the same: nothing as wide as this is a lobe."""
CLOSE = 0.25
"""Of the expected diameter: gaps between the lobes of one nucleus are closed up to it."""
MOST_OF_A_FIELD = 0.4
"""A nucleus that fills more of its field is none, but a coloured ground."""
LEAST_CONTRAST = 1.0
"""Of a nucleus to its surroundings in green, in standard deviations: noise has less."""
MOST_GREEN = 1.2
"""Green over red in a nucleus, both as shares of the light: a red cell that is teal has more."""
LEAST_SOLIDITY = 0.5
"""Area over that of the convex hull: less is a net of many small things."""


@dataclass(frozen=True, slots=True)
class Nuclei:
    """The nuclei of a field.

    Attributes:
        labels: int32 ``[height, width]``: 0 outside, another number for each nucleus.
        regions: The nuclei by their number.
        diameter: Of a typical one, in pixels of ``labels``; 0 where there is none.
        sure: The numbers of those that are too wide to be one lobe of a nucleus.
        balanced: The field after grey-world balance.
        soft: Its nucleus map.
    """

    labels: Labels
    regions: tuple[Region, ...]
    diameter: float
    sure: frozenset[int]
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
        return Nuclei(np.zeros(soft.shape, np.int32), (), 0.0, frozenset(), balanced, soft)
    ruler = red_cell_diameter(balanced, soft)
    labels, expected = _one_label_each(stained, diameter, ruler)
    white = _white(rgb)
    kept = tuple(
        region
        for region in regions(labels)
        if _is_nucleus(region, labels, expected, ruler)
        and contrast(region, labels, balanced) >= LEAST_CONTRAST
        and _is_magenta(region, labels, rgb, white)
    )
    least = math.inf if ruler is None else SURE_OF_A_RED_CELL * ruler
    sure = frozenset(region.label for region in kept if _width(region, labels) >= least)
    diameter = typical_diameter(np.array([region.area for region in kept]))
    return Nuclei(labels, kept, diameter, sure, balanced, soft)


def typical_diameter(found: NDArray[np.int64]) -> float:
    """The diameter of the region, of these areas, to which the median pixel belongs; 0 of none."""
    if found.size == 0:
        return 0.0
    ordered = np.sort(found)
    total = np.cumsum(ordered)
    return 2 * math.sqrt(float(ordered[np.searchsorted(total, total[-1] / 2)]) / math.pi)


def _stained(soft: Grey) -> Binary:
    level, _ = cv2.threshold(soft, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    _, stained = cv2.threshold(soft, max(level, FLOOR), 255, cv2.THRESH_BINARY)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    return np.asarray(cv2.morphologyEx(stained, cv2.MORPH_OPEN, kernel), dtype=np.uint8)


def _one_label_each(
    stained: Binary, diameter: float | None, ruler: float | None
) -> tuple[Labels, float]:
    """The labels after splitting and joining, and the diameter that is expected of a nucleus."""
    whole = diameter or typical_diameter(areas(components(stained)))
    closed = _closed(stained, whole)
    expected = diameter or typical_diameter(areas(components(closed)))
    own = OWN * expected if ruler is None or diameter is not None else OWN_OF_A_RED_CELL * ruler
    pieces = split(stained, own)
    disc = math.pi / 4 * own**2
    large = [region for region in regions(pieces) if region.area >= disc]
    full = [region for region in large if _width(region, pieces) >= own]
    if diameter is None and full:
        expected = min(expected, typical_diameter(np.array([region.area for region in full])))
    labels = _only(pieces, full)
    lobes = np.where((stained > 0) & (labels == 0), 1, 0).astype(np.uint8)
    joined = components(np.where(labels > 0, 0, _closed(lobes, expected)).astype(np.uint8))
    joined[joined > 0] += int(labels.max())
    return np.asarray(np.where(labels > 0, labels, joined), dtype=np.int32), expected


def _width(region: Region, labels: Labels) -> float:
    """The diameter of the largest disc in it; the border of the picture bounds it, too."""
    part = np.pad(labels[region.window] == region.label, 1).astype(np.uint8)
    return 2 * float(cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max())


def _closed(binary: Binary, diameter: float) -> Binary:
    side = max(3, int(diameter * CLOSE) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.morphologyEx(binary, cv2.MORPH_CLOSE, kernel), dtype=np.uint8)


def _only(labels: Labels, kept: Sequence[Region]) -> Labels:
    keep = np.zeros(int(labels.max()) + 1, np.int32)
    for region in kept:
        keep[region.label] = region.label
    return np.asarray(keep[np.maximum(labels, 0)])


def _is_nucleus(region: Region, labels: Labels, expected: float, ruler: float | None) -> bool:
    area = math.pi / 4 * expected**2
    if not LEAST_AREA * area <= region.area <= MOST_OF_A_FIELD * labels.size:
        return False
    own = 2 * math.sqrt(region.area / math.pi)
    least = LEAST_OF_A_CUT_ONE if region.at_border(*labels.shape) else LEAST_OF_A_RED_CELL
    if ruler is not None and own < least * ruler:
        return False
    return _solidity(region, labels) >= LEAST_SOLIDITY


def _white(rgb: Field) -> list[int]:
    """The light without a cell in its way: where the brightest twentieth of a channel begins."""
    counts = (cv2.calcHist([rgb], [channel], None, [256], [0, 256]) for channel in range(3))
    return [int(np.searchsorted(np.cumsum(one), 0.95 * one.sum())) for one in counts]


def _is_magenta(region: Region, labels: Labels, rgb: Field, white: list[int]) -> bool:
    """Whether no more green comes through than red, as through chromatin; or hardly more."""
    mean = rgb[region.window][labels[region.window] == region.label].mean(axis=0)
    return bool(mean[1] * white[0] <= MOST_GREEN * mean[0] * white[1])


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
