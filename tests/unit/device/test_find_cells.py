import cv2
import numpy as np
import pytest
from phantom_fields import phantom_field

from allnet_edge.data.phantom.cell import Canvas, render
from allnet_edge.data.phantom.population import draw_cell, draw_patient, stream
from allnet_edge.device.field import find_cells
from allnet_edge.segmentation.cell import Box, Cell


def overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0, width) * max(0, height)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)]
    return both / (sum(areas) - both)


def matched(found: list[Cell], truth: list[Box]) -> list[float]:
    """The best overlap of each true box."""
    return [max((overlap(cell.box, box) for cell in found), default=0.0) for box in truth]


@pytest.mark.parametrize("nucleus", [24, 45, 60, 100])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_white_cell_and_nothing_else(seed: int, nucleus: int) -> None:
    rgb, truth = phantom_field(seed, 5, nucleus=nucleus)
    found = find_cells(rgb)
    assert len(found) == len(truth) >= 3
    assert min(matched(found, truth)) > 0.7
    assert not any(cell.cut for cell in found)


@pytest.mark.parametrize("seed", range(4))
def test_touching_nuclei_are_split(seed: int) -> None:
    rgb, truth = phantom_field(seed, 6, nucleus=50, touching=True)
    found = find_cells(rgb)
    assert len(found) == len(truth) >= 4
    assert min(matched(found, truth)) > 0.5


def test_masks_fit_their_boxes_and_hold_the_nucleus() -> None:
    rgb, _ = phantom_field(4, 6, nucleus=50)
    for cell in find_cells(rgb):
        x0, y0, x1, y1 = cell.box
        assert cell.mask.shape == cell.nucleus.shape == (y1 - y0, x1 - x0)
        assert cell.mask.dtype == cell.nucleus.dtype == np.bool_
        assert cell.mask.any(axis=0).all()
        assert cell.mask.any(axis=1).all()
        assert not (cell.nucleus & ~cell.mask).any()
        assert cell.nucleus_diameter == pytest.approx(50, rel=0.1)
        assert 50 < cell.diameter < 1.4 * 50


def test_two_masks_share_no_pixel() -> None:
    rgb, _ = phantom_field(2, 6, nucleus=50, touching=True)
    taken = np.zeros(rgb.shape[:2], np.int32)
    for cell in find_cells(rgb):
        x0, y0, x1, y1 = cell.box
        taken[y0:y1, x0:x1] += cell.mask
    # Two neighbours are enlarged from the small copy one by one: a seam may belong to both.
    assert np.count_nonzero(taken > 1) < 0.002 * np.count_nonzero(taken)


def plain(*colour: int) -> np.ndarray:
    return np.tile(np.array(colour, np.uint8), (480, 640, 1))


def noise(seed: int, height: int = 480, width: int = 640) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ramp() -> np.ndarray:
    return np.repeat(
        np.tile(np.linspace(0, 255, 640), (480, 1))[..., np.newaxis], 3, axis=2
    ).astype(np.uint8)


def grey(rgb: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2)


EMPTY = {
    "white": plain(255, 255, 255),
    "black": plain(0, 0, 0),
    "pink": plain(230, 200, 210),
    "purple": plain(98, 44, 136),
    "noise": noise(0),
    "noise-small": noise(1, 120, 160),
    "noise-blurred": cv2.GaussianBlur(noise(2), (0, 0), 2),
    "ramp": ramp(),
    "grey": grey(phantom_field(0, 5)[0]),
    "red-cells": phantom_field(0, 0, platelets=0)[0],
    "red-cells-and-platelets": phantom_field(1, 0, platelets=8)[0],
    "red-cells-and-platelets-small": phantom_field(2, 0, nucleus=30, platelets=20)[0],
    "ground-only": phantom_field(3, 0, nucleus=4000, platelets=0)[0],
}


@pytest.mark.parametrize("name", EMPTY)
def test_where_no_white_cell_is_none_is_found(name: str) -> None:
    assert find_cells(EMPTY[name]) == []


def test_platelets_beside_white_cells_are_left_out() -> None:
    rgb, truth = phantom_field(6, 3, nucleus=60, platelets=12)
    assert len(find_cells(rgb)) == len(truth)


def test_a_cell_at_the_border_is_marked_and_kept() -> None:
    rgb, truth = phantom_field(0, 1, nucleus=60)
    x0, y0, x1, _ = truth[0]
    whole = find_cells(rgb[y0 - 20 : y0 + 320, max(0, x0 - 200) : x1 + 20])
    assert [cell.cut for cell in whole] == [False]
    halved = find_cells(np.ascontiguousarray(rgb[:, (x0 + x1) // 2 :]))
    cut = [cell for cell in halved if cell.cut]
    assert len(cut) == len(halved) == 1
    assert cut[0].box[0] == 0


def test_blur_lowers_the_sharpness_of_a_found_cell() -> None:
    rgb, _ = phantom_field(3, 2, nucleus=70)
    values = []
    for blur in (0.5, 1.5, 3.0, 5.0):
        found = find_cells(cv2.GaussianBlur(rgb, (0, 0), blur))
        assert len(found) == 2
        values.append(max(cell.sharpness for cell in found))
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.6 * values[0]


def test_small_nuclei_of_a_large_field_are_seen_in_a_finer_copy() -> None:
    rgb, truth = phantom_field(0, 12, size=(1200, 1600), nucleus=36)
    found = find_cells(rgb)
    assert len(found) == len(truth)
    assert min(matched(found, truth)) > 0.7


def test_a_field_of_twelve_megapixels() -> None:
    rgb, truth = phantom_field(0, 6, size=(3000, 4000), nucleus=300)
    assert len(find_cells(rgb)) == len(truth)


def test_a_known_diameter_serves_as_well_as_the_field_itself() -> None:
    rgb, truth = phantom_field(5, 5, nucleus=50)
    assert len(find_cells(rgb, diameter=50)) == len(truth)
    lone = np.full((200, 200, 3), 235, np.uint8)
    cv2.circle(lone, (100, 100), 10, (98, 44, 136), cv2.FILLED, cv2.LINE_AA)
    assert len(find_cells(lone, diameter=20)) == 1
    assert find_cells(lone, diameter=80) == []


@pytest.mark.parametrize("shape", [(16, 16), (16, 300), (33, 17)])
def test_a_tiny_field_is_looked_at(shape: tuple[int, int]) -> None:
    assert find_cells(np.full((*shape, 3), 220, np.uint8)) == []
    find_cells(noise(0, *shape))


@pytest.mark.parametrize("number", range(6))
def test_a_cell_on_black_is_one_cell_and_all_that_is_lit(number: int) -> None:
    rng = stream(7, number, 0)
    traits, optics = draw_cell(draw_patient(7, number), rng)
    image = render(traits, optics, Canvas.of(224), rng)
    found = find_cells(image)
    assert len(found) == 1
    x0, y0, x1, y1 = found[0].box
    whole = np.zeros(image.shape[:2], np.bool_)
    whole[y0:y1, x0:x1] = found[0].mask
    lit = image.max(axis=2) > 0
    assert np.count_nonzero(whole ^ lit) < 0.02 * np.count_nonzero(lit)
    assert not found[0].cut


def test_the_round_picture_of_an_eyepiece_is_no_cell_on_black() -> None:
    rgb, truth = phantom_field(0, 5, size=(600, 600), nucleus=50)
    rows, columns = np.mgrid[:600, :600] - 299.5
    rgb[np.hypot(rows, columns) > 260] = 0
    assert np.mean(rgb.max(axis=2) == 0) > 0.3
    inside = [
        box
        for box in truth
        if max(np.hypot(x - 300, y - 300) for x in box[::2] for y in box[1::2]) < 250
    ]
    found = find_cells(rgb)
    assert len(inside) <= len(found) <= len(truth)
    assert min(matched(found, inside)) > 0.7


def test_the_field_is_not_written_to() -> None:
    rgb, _ = phantom_field(1, 3)
    before = rgb.copy()
    rgb.flags.writeable = False
    find_cells(rgb)
    np.testing.assert_array_equal(rgb, before)


def test_a_view_of_a_larger_picture_gives_the_same() -> None:
    rgb, _ = phantom_field(1, 3)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    assert [c.box for c in find_cells(bgr[..., ::-1])] == [c.box for c in find_cells(rgb)]


@pytest.mark.parametrize(
    ("field", "word"),
    [
        (np.zeros((100, 100, 3), np.float32), "uint8"),
        (np.zeros((100, 100, 3), np.uint16), "uint8"),
        ([[0]], "uint8"),
        (np.zeros((100, 100), np.uint8), "shape"),
        (np.zeros((100, 100, 4), np.uint8), "shape"),
        (np.zeros((1, 100, 100, 3), np.uint8), "shape"),
        (np.zeros((15, 100, 3), np.uint8), "too small"),
        (np.zeros((0, 0, 3), np.uint8), "too small"),
        (np.broadcast_to(np.uint8(0), (8001, 8000, 3)), "too large"),
    ],
)
def test_what_is_no_field_is_refused_in_words(field: np.ndarray, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        find_cells(field)


@pytest.mark.parametrize("diameter", [0.0, -3.0, float("nan"), float("inf")])
def test_a_diameter_that_is_none_is_refused(diameter: float) -> None:
    with pytest.raises(ValueError, match="diameter"):
        find_cells(plain(255, 255, 255), diameter=diameter)


def test_threads_of_opencv_are_left_alone() -> None:
    before = cv2.getNumThreads()
    find_cells(phantom_field(0, 2)[0])
    assert cv2.getNumThreads() == before
