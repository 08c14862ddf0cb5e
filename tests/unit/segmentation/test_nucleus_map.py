import numpy as np
import pytest
from phantom_fields import CYTOPLASM, GROUND, NUCLEUS, RED_CELL, phantom_field

from allnet_edge.segmentation.nucleus_map import grey_world, nucleus_map
from allnet_edge.segmentation.ruler import red_cell_diameter


def flat(*colour: int) -> np.ndarray:
    return np.tile(np.array(colour, np.uint8), (32, 32, 1))


def formula(red: int, green: int, blue: int) -> float:
    """Of one colour, as the paper writes it, in 0..255."""
    high, low = max(red, green, blue), min(red, green, blue)
    light = (high + low) / 2
    black = 255 - high
    magenta = 0 if high == 0 else 255 * (high - green) / high
    spread = 255 - abs(2 * light - 255)
    saturation = 0 if spread == 0 else 255 * (high - low) / spread
    return max(min(magenta, saturation) - max(black - magenta, 0), 0)


@pytest.mark.parametrize(
    "colour",
    [NUCLEUS, CYTOPLASM, RED_CELL, GROUND, (0, 0, 0), (255, 255, 255), (90, 30, 150), (3, 1, 2)],
)
def test_is_the_formula_of_the_paper(colour: tuple[int, int, int]) -> None:
    assert nucleus_map(flat(*colour))[16, 16] == pytest.approx(formula(*colour), abs=2)


def test_a_nucleus_stands_out_from_all_else() -> None:
    nucleus, *others = (
        int(nucleus_map(flat(*colour))[16, 16]) for colour in (NUCLEUS, CYTOPLASM, RED_CELL, GROUND)
    )
    assert nucleus > 100
    assert max(others) < nucleus / 2


def test_dirt_that_is_merely_dark_is_nothing() -> None:
    assert not nucleus_map(flat(20, 20, 20)).any()


def test_balance_gives_all_channels_one_mean() -> None:
    rng = np.random.default_rng(0)
    tinted = (rng.integers(80, 120, (64, 64, 3)) * [1.3, 1.0, 0.7]).astype(np.uint8)
    means = grey_world(tinted).reshape(-1, 3).mean(axis=0)
    assert np.ptp(means) < 1.5


def test_balance_keeps_grey_and_black_as_they_are() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis, np.newaxis], 3, axis=2)
    grey = np.repeat(grey, 16, axis=1)
    np.testing.assert_array_equal(grey_world(grey), grey)
    assert not grey_world(np.zeros((16, 16, 3), np.uint8)).any()


@pytest.mark.parametrize("nucleus", [24, 36, 48])
def test_red_cells_are_a_ruler(nucleus: int) -> None:
    rgb, _ = phantom_field(1, 2, nucleus=nucleus)
    balanced = grey_world(rgb)
    found = red_cell_diameter(balanced, nucleus_map(balanced))
    assert found is not None
    assert 0.65 < found / (0.85 * nucleus) < 1.15


def test_without_red_cells_there_is_no_ruler() -> None:
    plain = flat(*GROUND)
    assert red_cell_diameter(plain, nucleus_map(plain)) is None
