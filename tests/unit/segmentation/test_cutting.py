import numpy as np
import pytest

from allnet_edge.segmentation.cell import Cell
from allnet_edge.segmentation.cutting import Background, cut_out


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(1, 256, (height, width, 3), dtype=np.uint8)


def cell(x0: int, y0: int, x1: int, y1: int, *, full: bool = True) -> Cell:
    mask = np.full((y1 - y0, x1 - x0), full)
    return Cell((x0, y0, x1, y1), mask, mask, cut=False, sharpness=1.0)


def disc(side: int) -> Cell:
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    mask = np.hypot(rows, columns) < side / 2
    return Cell((32, 32, 32 + side, 32 + side), mask, mask, cut=False, sharpness=1.0)


@pytest.mark.parametrize("background", ["black", "smear"])
def test_a_cell_in_the_middle_of_its_training_image_is_that_image(background: Background) -> None:
    field = noise(96, 96)
    made = cut_out(field, cell(0, 0, 96, 96), side=96, scale=1, background=background)
    np.testing.assert_array_equal(made, field)


def test_at_scale_one_pixels_are_copied_wherever_the_cell_lies() -> None:
    field = noise(200, 300)
    made = cut_out(field, cell(101, 60, 132, 90), side=64, scale=1, background="smear")
    left, top = round((101 + 132) / 2 - 32), 75 - 32
    np.testing.assert_array_equal(made, field[top : top + 64, left : left + 64])


def test_black_is_black_outside_the_mask_and_the_field_inside() -> None:
    field = noise(128, 128)
    one = disc(64)
    made = cut_out(field, one, side=128, scale=1, background="black")
    whole = np.zeros((128, 128), np.bool_)
    whole[32:96, 32:96] = one.mask
    assert (made[~whole] == 0).all()
    np.testing.assert_array_equal(made[whole], field[whole])


@pytest.mark.parametrize(("scale", "side"), [(0.5, 64), (2.0, 200), (1.37, 150)])
def test_the_cell_has_its_size_times_the_scale(scale: float, side: int) -> None:
    one = disc(64)
    field = np.full((128, 128, 3), 200, np.uint8)
    made = cut_out(field, one, side=side, scale=scale, background="black")
    area = np.count_nonzero(made.any(axis=2))
    assert area == pytest.approx(np.count_nonzero(one.mask) * scale**2, rel=0.03)
    rows, columns = np.nonzero(made.any(axis=2))
    middle = (side - 1) / 2
    assert rows.mean() == pytest.approx(middle, abs=1)
    assert columns.mean() == pytest.approx(middle, abs=1)


def test_shrinking_averages_over_area() -> None:
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    field = np.repeat(board[..., np.newaxis], 3, axis=2).astype(np.uint8)
    made = cut_out(field, cell(64, 64, 192, 192), side=64, scale=0.25, background="smear")
    assert abs(made.astype(float) - 127.5).max() < 12


def test_beyond_the_border_the_field_is_mirrored() -> None:
    field = noise(64, 64)
    made = cut_out(field, cell(0, 0, 20, 20), side=40, scale=1, background="smear")
    np.testing.assert_array_equal(made[10:, 10:], field[:30, :30])
    np.testing.assert_array_equal(made[10:, 9], made[10:, 11])
    np.testing.assert_array_equal(made[0], made[20])


def test_a_window_many_times_the_field_is_filled() -> None:
    field = noise(16, 17)
    made = cut_out(field, cell(2, 2, 9, 9), side=100, scale=1, background="smear")
    assert (made > 0).all()


def test_an_empty_mask_leaves_nothing() -> None:
    made = cut_out(
        noise(64, 64), cell(5, 5, 9, 9, full=False), side=32, scale=1, background="black"
    )
    assert not made.any()


@pytest.mark.parametrize(
    ("side", "scale", "background", "word"),
    [
        (0, 1.0, "black", "side"),
        (32, 0.0, "black", "scale"),
        (32, -1.0, "black", "scale"),
        (32, float("nan"), "black", "scale"),
        (32, float("inf"), "black", "scale"),
        (224, 1e-3, "black", "window"),
        (32, 1.0, "white", "background"),
    ],
)
def test_refused_in_words(side: int, scale: float, background: Background, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        cut_out(noise(64, 64), cell(5, 5, 9, 9), side=side, scale=scale, background=background)
