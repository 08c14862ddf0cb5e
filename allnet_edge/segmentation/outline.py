"""A cell's mask as a short polygon, to be drawn or stored."""

import cv2
import numpy as np

from allnet_edge.segmentation.cell import Cell

MAX_POINTS = 64


def outline(cell: Cell) -> tuple[tuple[int, int], ...]:
    """Around the largest part of the whole cell.

    Args:
        cell: As found in a field.

    Returns:
        Points (x, y) in pixels of the field, at most `MAX_POINTS`; the last one is joined to the
        first; none for an empty mask. The coarsest polygon is not wanted but the finest that has
        few enough points (Douglas & Peucker 1973).
    """
    contours, _ = cv2.findContours(
        cell.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    if not contours:
        return ()
    points = max(contours, key=cv2.contourArea)
    tolerance = 0.5
    while len(points) > MAX_POINTS:
        points = cv2.approxPolyDP(points, tolerance, closed=True)
        tolerance *= 1.5
    left, top = cell.box[:2]
    return tuple((int(x) + left, int(y) + top) for x, y in points[:, 0])
