import cv2
import numpy as np
import pytest

from allnet_edge.segmentation.cell import Cell
from allnet_edge.segmentation.outline import MAX_POINTS, outline


def shape(mask: np.ndarray, left: int = 0, top: int = 0) -> Cell:
    box = (left, top, left + mask.shape[1], top + mask.shape[0])
    return Cell(box, mask, mask, cut=False, sharpness=1.0)


def test_a_rectangle_is_its_corners_in_pixels_of_the_field() -> None:
    points = outline(shape(np.ones((10, 20), np.bool_), left=100, top=50))
    assert set(points) == {(100, 50), (119, 50), (119, 59), (100, 59)}


@pytest.mark.parametrize("side", [40, 400, 2000])
def test_few_points_that_cover_the_same_area(side: int) -> None:
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    angle = np.arctan2(rows, columns)
    mask = np.hypot(rows, columns) < side / 2 * (0.85 + 0.12 * np.sin(23 * angle))
    points = outline(shape(mask))
    assert 3 < len(points) <= MAX_POINTS
    drawn = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(drawn, [np.array(points, np.int32)], 1)
    both = np.count_nonzero((drawn > 0) & mask)
    assert both / np.count_nonzero((drawn > 0) | mask) > 0.85


def test_the_largest_of_two_parts() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[2:5, 2:5] = True
    mask[10:35, 10:35] = True
    assert min(outline(shape(mask))) == (10, 10)


def test_one_pixel_and_none() -> None:
    assert outline(shape(np.ones((1, 1), np.bool_), 7, 8)) == ((7, 8),)
    assert outline(shape(np.zeros((3, 3), np.bool_))) == ()
