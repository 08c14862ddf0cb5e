"""Nuclei that touch, taken apart; lobes of one nucleus, left together.

Source: the watershed of the distance from the border (Meyer 1994, "Topographic distance and
watershed lines", Signal Processing 38:113). What is a nucleus of its own is decided before: a
summit of the distance that is as wide as a nucleus, and parted from a wider one by a neck that is
clearly narrower than itself. The lobes of a segmented nucleus are too narrow for that.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.regions import Labels

Binary = NDArray[np.uint8]
_Distance = NDArray[np.float32]
_Summit = tuple[float, int, int]  # half width in pixels, row, column

WIDTH = 0.55
"""A summit is a nucleus of its own from this share of the expected diameter on ..."""
WIDTH_OF_A_RED_CELL = 1.1
"""... and from this share of a red cell's: a lobe is narrower."""
NECK = 0.82
"""The neck between two nuclei is at most this share of the narrower one."""


def split(nuclei: Binary, diameter: float, red_cell: float | None = None) -> Labels:
    """One label for each nucleus.

    Args:
        nuclei: uint8 ``[height, width]``, not 0 where any nucleus is.
        diameter: Expected of one nucleus, in pixels.
        red_cell: About the diameter of the field's red cells, where there are any.

    Returns:
        int32 ``[height, width]``: 0 outside and on the lines between nuclei, 1.. the nuclei.
    """
    # A border of nothing: a nucleus that is cut by the field is no wider for it.
    padded = cv2.copyMakeBorder(nuclei, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(padded, ltype=cv2.CV_32S)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = cv2.GaussianBlur(distance, (0, 0), max(0.5, diameter / 30))
    width = max(WIDTH * diameter, WIDTH_OF_A_RED_CELL * (red_cell or 0))
    highest = count
    for label, summits in _summits(distance, labels, width, diameter).items():
        x, y, columns, rows, _ = stats[label]
        here = np.s_[y : y + rows, x : x + columns]
        part = labels[here] == label
        kept = _own(np.where(part, distance[here], 0), [(r, v - y, u - x) for r, v, u in summits])
        if len(kept) > 1:
            parts = _watershed(distance[here], part, kept)
            labels[here][part] = np.where(parts[part] > 0, parts[part] + highest, 0)
            highest += len(kept)
    return np.ascontiguousarray(labels[1:-1, 1:-1])


def _summits(
    distance: _Distance, labels: Labels, width: float, diameter: float
) -> dict[int, list[_Summit]]:
    """The wide summits of every component that has at least two, the widest first."""
    reach = max(1, round(diameter / 8))
    around = cv2.dilate(distance, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    rows, columns = np.nonzero((distance == around) & (distance >= width / 2))
    found: dict[int, list[_Summit]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if label := int(labels[row, column]):
            found.setdefault(label, []).append((float(distance[row, column]), row, column))
    return {label: sorted(one, reverse=True) for label, one in found.items() if len(one) > 1}


def _own(distance: _Distance, summits: list[_Summit]) -> list[_Summit]:
    """Those from which every way to a wider one leads through a neck."""
    kept = summits[:1]
    for summit in summits[1:]:
        _, wide = cv2.connectedComponents((distance > NECK * summit[0]).astype(np.uint8))
        if all(wide[row, column] != wide[summit[1], summit[2]] for _, row, column in kept):
            kept.append(summit)
    return kept


def _watershed(distance: _Distance, part: NDArray[np.bool_], summits: list[_Summit]) -> Labels:
    """1.. for the parts around the summits; 0 or less elsewhere."""
    markers = np.where(part, 0, len(summits) + 1).astype(np.int32)
    for number, (_, row, column) in enumerate(summits, start=1):
        markers[row, column] = number
    depth = 255 - np.minimum(distance * (255 / max(float(distance.max()), 1.0)), 255)
    markers = cv2.copyMakeBorder(markers, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=len(summits) + 1)
    relief = cv2.copyMakeBorder(depth.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    flooded = cv2.watershed(cv2.cvtColor(relief, cv2.COLOR_GRAY2BGR), markers)[1:-1, 1:-1]
    return np.asarray(np.where(flooded <= len(summits), flooded, 0), dtype=np.int32)
