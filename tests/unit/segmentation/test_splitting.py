import cv2
import numpy as np
import pytest

from allnet_edge.segmentation.joining import joined
from allnet_edge.segmentation.splitting import split


def discs(*centres: tuple[int, int], radius: int = 20, size: int = 160) -> np.ndarray:
    made = np.zeros((size, size), np.uint8)
    for x, y in centres:
        cv2.circle(made, (x, y), radius, 1, cv2.FILLED)
    return made


def numbers(labels: np.ndarray, *places: tuple[int, int]) -> list[int]:
    return [int(labels[y, x]) for x, y in places]


@pytest.mark.parametrize("gap", [30, 34, 38, 40])
def test_two_that_touch_are_two(gap: int) -> None:
    places = [(60, 80), (60 + gap, 80)]
    nuclei = discs(*places)
    labels = split(nuclei, 25)
    assert len(set(numbers(labels, *places))) == 2
    np.testing.assert_array_equal(labels > 0, nuclei > 0)
    areas = np.bincount(labels[labels > 0])
    areas = areas[areas > 0]
    assert areas.size == 2
    assert areas.min() / areas.max() > 0.9


def test_a_chain_and_a_ring_of_them() -> None:
    chain = [(30, 40), (66, 40), (102, 40), (138, 40)]
    assert len(set(numbers(split(discs(*chain), 25), *chain))) == 4
    around = [
        (round(80 + 36 * np.cos(a)), round(80 + 36 * np.sin(a)))
        for a in np.linspace(0, 2 * np.pi, 6, endpoint=False)
    ]
    assert len(set(numbers(split(discs(*around), 25), *around))) == 6


def test_lobes_narrower_than_a_nucleus_stay_together() -> None:
    lobes = [(60, 80), (84, 80), (100, 95)]
    assert len(set(numbers(split(discs(*lobes, radius=14), 40), *lobes))) == 1


def test_an_ellipse_and_a_kidney_are_one() -> None:
    ellipse = np.zeros((160, 160), np.uint8)
    cv2.ellipse(ellipse, (80, 80), (50, 26), 30, 0, 360, 1, cv2.FILLED)
    kidney = ellipse.copy()
    cv2.circle(kidney, (100, 45), 22, 0, cv2.FILLED)
    for shape in (ellipse, kidney):
        assert len(np.unique(split(shape, 30))) == 2


def test_at_the_border_too() -> None:
    places = [(2, 60), (2, 96)]
    assert len(set(numbers(split(discs(*places), 15), *places))) == 2


def test_nothing_is_nothing() -> None:
    assert not split(np.zeros((40, 40), np.uint8), 10).any()


def halves(line: int) -> np.ndarray:
    """Two discs of 40 px with a line of about ``line`` px between them."""
    gap = round(2 * np.sqrt(20**2 - (line / 2) ** 2))
    cells = np.where(discs((50, 80)) > 0, 1, 0)
    other = discs((50 + gap, 80)) > 0
    columns = np.arange(160)[np.newaxis]
    cells[other & ((cells == 0) | (columns > 50 + gap / 2))] = 2
    return cells.astype(np.int32)


def test_a_waist_parts_two_cells_and_none_joins_them() -> None:
    assert joined(halves(20), frozenset()) == {}
    round_cell = discs((80, 80), radius=40).astype(np.int32)
    round_cell[:, 80:] *= 2
    assert joined(round_cell, frozenset()) in ({1: 2}, {2: 1})
    assert joined(round_cell, frozenset({1, 2})) == {}
    assert joined(round_cell, frozenset({1})) != {}


def test_three_parts_of_one_cell_go_to_one_number() -> None:
    cell = discs((80, 80), radius=40).astype(np.int32)
    cell[:, 70:] *= 2
    cell[:, 95:] = np.where(cell[:, 95:] > 0, 3, 0)
    parts = joined(cell, frozenset())
    assert len(parts) == 2
    assert len(set(parts.values())) == 1
    assert not set(parts) & set(parts.values())
