"""What the checks before the network measure."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from allnet_edge.data.phantom import generate
from allnet_edge.measure.appearance import (
    FEWEST,
    cell_diameter,
    colour_statistic,
    distance,
    eroded,
    exposure,
    is_on_black,
    lower_limit,
    sharpness,
    shrunk_covariance,
    upper_limit,
)

CELLS = generate(12, patients=6, seed=5, size=128).images


def smear(seed: int = 0, size: int = 96) -> np.ndarray:
    """Noise at several scales on a light ground: like a smear, it has edges of many widths."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), 210.0)
    for side in (6, 12, 24, 48):
        coarse = rng.normal(0, 20, (side, side, 3))
        image += np.kron(coarse, np.ones((size // side, size // side, 1)))
    return np.clip(image, 0, 255).astype(np.uint8)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def edge(sigma: float, low: float = 60, high: float = 200, size: int = 64) -> np.ndarray:
    """A vertical edge blurred by a Gaussian of sd ``sigma``."""
    at = (np.arange(size) - size / 2 + 0.5) / (sigma * math.sqrt(2))
    row = low + (high - low) * (1 + np.array([math.erf(one) for one in at])) / 2
    return np.repeat(np.round(row)[None, :, None], size, 0).repeat(3, 2).astype(np.uint8)


class TestBackground:
    def test_a_cell_cut_out_lies_on_black_and_a_smear_does_not(self) -> None:
        assert all(is_on_black(cell) for cell in CELLS)
        assert not is_on_black(smear())

    def test_one_bright_corner_is_enough_against_it(self) -> None:
        image = CELLS[0].copy()
        image[-10:, -10:] = 200
        assert not is_on_black(image)

    def test_the_diameter_is_that_of_the_circle_of_the_same_area(self) -> None:
        y, x = np.mgrid[:200, :200]
        image = np.zeros((200, 200, 3), np.uint8)
        image[(x - 90) ** 2 + (y - 110) ** 2 < 40**2] = (120, 60, 140)
        assert cell_diameter(image) == pytest.approx(80, rel=0.01)


class TestColour:
    def test_one_colour_gives_its_density_and_no_spread(self) -> None:
        image = np.full((40, 40, 3), (24, 99, 255), np.uint8)
        expected = [-math.log10(25 / 256), -math.log10(100 / 256), 0, 0, 0, 0]
        assert colour_statistic(image, "smear") == pytest.approx(expected)

    def test_only_the_darker_half_of_a_smear_counts(self) -> None:
        image = smear()
        brightness = image.sum(axis=2)
        other = image.copy()
        other[brightness > np.median(brightness) + 30] = 255
        assert colour_statistic(other, "smear") == pytest.approx(colour_statistic(image, "smear"))

    def test_black_around_a_cell_does_not_count(self) -> None:
        small = CELLS[0][8:-8, 8:-8]
        around = np.pad(small, ((8, 8), (8, 8), (0, 0)))
        assert colour_statistic(around, "black") == pytest.approx(colour_statistic(small, "black"))

    def test_an_image_without_a_cell_has_none(self) -> None:
        assert colour_statistic(np.zeros((64, 64, 3), np.uint8), "black") is None
        assert exposure(np.zeros((64, 64, 3), np.uint8), "black") is None

    @pytest.mark.parametrize("turn", range(4))
    def test_it_does_not_change_with_the_side_from_which_a_cell_is_seen(self, turn: int) -> None:
        turned = np.ascontiguousarray(np.rot90(CELLS[1], turn)[:, ::-1])
        assert colour_statistic(turned, "black") == pytest.approx(
            colour_statistic(CELLS[1], "black")
        )

    def test_half_the_light_is_0_3_of_density_in_every_channel(self) -> None:
        image = np.full((40, 40, 3), (40, 100, 200), np.uint8)
        moved = colour_statistic(image // 2, "smear") - colour_statistic(image, "smear")
        assert moved[:3] == pytest.approx([math.log10(2)] * 3, abs=0.02)


class TestDistance:
    def test_with_the_unit_covariance_it_is_euclids(self) -> None:
        values = np.array([3.0, 4, 0, 0, 0, 0])
        assert distance(values, np.zeros(6), np.eye(6)) == pytest.approx(5)

    def test_of_many_normal_rows_the_mean_square_is_their_number(self) -> None:
        rng = np.random.default_rng(1)
        rows = rng.normal(0, 0.1, (4000, 6)) @ rng.normal(0, 1, (6, 6))
        covariance = shrunk_covariance(rows)
        mean = rows.mean(axis=0)
        squares = [distance(row, mean, covariance) ** 2 for row in rows]
        assert np.mean(squares) == pytest.approx(6, rel=0.03)

    @pytest.mark.parametrize("n", [1, 2, 3, 50])
    def test_the_covariance_is_never_singular(self, n: int) -> None:
        rows = np.repeat(np.linspace(0.1, 0.4, n)[:, None], 6, axis=1)  # one direction only
        for one in (rows, np.zeros_like(rows)):
            assert np.linalg.eigvalsh(shrunk_covariance(one))[0] > 1e-6

    def test_with_many_cells_next_to_nothing_is_shrunk(self) -> None:
        rng = np.random.default_rng(2)
        rows = rng.normal(0, [0.3, 0.3, 0.3, 0.05, 0.05, 0.05], (20_000, 6))
        assert shrunk_covariance(rows) == pytest.approx(np.cov(rows.T), abs=1e-3)

    def test_few_cells_are_shrunk_towards_a_ball(self) -> None:
        rng = np.random.default_rng(3)
        rows = rng.normal(0, 0.2, (8, 6))
        values = np.linalg.eigvalsh(shrunk_covariance(rows))
        sample = np.linalg.eigvalsh(np.cov(rows.T, bias=True))
        assert values[-1] / values[0] < 0.2 * sample[-1] / sample[0]


class TestSharpness:
    @pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
    def test_it_is_one_over_the_width_of_an_edge(self, sigma: float) -> None:
        """The measure's own smoothing of sd 1 adds to the edge's."""
        expected = 1 / math.hypot(sigma, 1)
        assert sharpness(edge(sigma), "smear") == pytest.approx(expected, rel=0.08)

    @pytest.mark.parametrize("contrast", [40, 80, 160])
    def test_contrast_does_not_matter(self, contrast: int) -> None:
        strong = sharpness(edge(2, 40, 240), "smear")
        assert sharpness(edge(2, 120 - contrast // 2, 120 + contrast // 2), "smear") == (
            pytest.approx(strong, rel=0.05)
        )

    @given(st.integers(0, 200), st.floats(0.4, 2), st.floats(0.3, 2))
    @settings(max_examples=40, deadline=None)
    def test_more_blur_never_makes_it_sharper(self, seed: int, sigma: float, more: float) -> None:
        image = smear(seed)
        values = [sharpness(blurred(image, one), "smear") for one in (0, sigma, sigma + more)]
        assert values[0] > values[1] > values[2] > 0

    def test_a_blurred_cell_on_black_is_less_sharp_though_its_cut_is_not(self) -> None:
        for cell in CELLS:
            mask = cell.max(axis=2) > 0
            uncut = np.where(mask[..., None], cell, np.median(cell[mask], axis=0)).astype(np.uint8)
            soft = blurred(uncut, 2.5) * mask[..., None]
            assert sharpness(soft, "black") < 0.8 * sharpness(cell, "black")

    def test_a_cells_own_cut_is_not_looked_at(self) -> None:
        y, x = np.mgrid[:96, :96]
        flat = np.zeros((96, 96, 3), np.uint8)
        flat[(x - 48) ** 2 + (y - 48) ** 2 < 30**2] = (90, 40, 110)
        assert sharpness(flat, "black") == 0

    def test_camera_noise_does_not_pass_for_focus(self) -> None:
        soft = blurred(smear(), 3).astype(float)
        noise = np.random.default_rng(0).normal(0, 3, soft.shape)
        noisy = np.clip(soft + noise, 0, 255).astype(np.uint8)
        assert sharpness(noisy, "smear") < sharpness(blurred(smear(), 1), "smear")

    def test_a_flat_image_has_no_edge_and_a_tiny_cell_no_answer(self) -> None:
        assert sharpness(np.full((64, 64, 3), 128, np.uint8), "smear") == 0
        tiny = np.zeros((64, 64, 3), np.uint8)
        tiny[30:36, 30:36] = 99
        assert sharpness(tiny, "black") is None


class TestExposure:
    def test_clipped_channels_are_counted(self) -> None:
        image = np.full((40, 40, 3), (120, 80, 140), np.uint8)
        assert (exposure(image, "black").dark, exposure(image, "black").bright) == (0, 0)
        image[:20] = (255, 80, 140)
        image[20:30] = (120, 3, 140)
        seen = exposure(np.pad(image, ((4, 4), (4, 4), (0, 0))), "black")
        assert seen.bright == pytest.approx(0.5, abs=0.03)
        assert seen.dark == pytest.approx(0.25, abs=0.03)

    def test_the_black_around_a_cell_is_no_darkness(self) -> None:
        for cell in CELLS:
            assert exposure(cell, "black").dark < 0.05

    def test_the_level_of_a_smear_is_that_of_its_background(self) -> None:
        image = np.full((40, 40, 3), 60, np.uint8)
        image[:10] = (228, 226, 215)
        assert exposure(image, "smear").level == 228

    @pytest.mark.parametrize("gain", [0.8, 0.5, 0.25])
    def test_less_light_lowers_the_level_in_proportion(self, gain: float) -> None:
        image = smear()
        dim = (image * gain).astype(np.uint8)
        assert exposure(dim, "smear").level == pytest.approx(
            gain * exposure(image, "smear").level, abs=1.5
        )


class TestLimits:
    def test_it_is_the_order_statistic(self) -> None:
        values = np.random.default_rng(0).permutation(199).astype(float)
        assert upper_limit(values, 0.01) == 197  # the 198th smallest of 199
        assert lower_limit(values, 0.01) == 1

    def test_too_few_for_the_rate_gives_the_largest_and_far_too_few_none(self) -> None:
        assert upper_limit(np.arange(50.0), 0.01) == 49
        assert upper_limit(np.arange(FEWEST - 1.0)) is None
        assert lower_limit(np.arange(FEWEST - 1.0)) is None

    def test_further_cells_exceed_it_no_more_often_than_promised(self) -> None:
        rng = np.random.default_rng(7)
        rates = [
            (rng.gamma(2, size=400) > upper_limit(rng.gamma(2, size=150), 0.05)).mean()
            for _ in range(400)
        ]
        assert np.mean(rates) == pytest.approx(0.05, abs=0.006)


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_erosion_keeps_the_pixels_whose_square_is_whole(seed: int, reach: int) -> None:
    mask = np.random.default_rng(seed).uniform(size=(9, 11)) < 0.9
    kept = eroded(mask, reach)
    for row, column in np.ndindex(*mask.shape):
        whole = (
            row - reach >= 0
            and column - reach >= 0
            and row + reach < 9
            and column + reach < 11
            and mask[row - reach : row + reach + 1, column - reach : column + reach + 1].all()
        )
        assert kept[row, column] == whole
