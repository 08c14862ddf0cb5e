"""The uncertain band: it holds the threshold, and about a twentieth of the cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.measure.abstain import fit_band


def inside(scores: np.ndarray, band: tuple[float, float]) -> int:
    return int(((scores >= band[0]) & (scores <= band[1])).sum())


@pytest.mark.parametrize("threshold", [0.05, 0.37, 0.5, 0.93])
@pytest.mark.parametrize("share", [0.05, 0.2])
def test_it_holds_the_share_of_the_cells(threshold, share):
    scores = np.random.default_rng(0).beta(0.4, 0.4, 1000)
    band = fit_band(scores, threshold, share)
    assert band[0] <= threshold <= band[1]
    assert inside(scores, band) == share * 1000


def test_it_holds_the_nearest_cells_in_logits():
    """0.5 and 0.9 lie 2.2 logits apart; 0.01 and 0.1 lie 2.4 apart, though only 0.09."""
    scores = np.array([0.01, 0.5, *np.full(18, 0.99999)])
    assert fit_band(scores, 0.1, 0.05) == (0.1, 0.5)
    assert fit_band(scores, 0.03, 0.05) == (0.01, 0.03)


def test_scores_of_exactly_0_and_1_are_far_away_and_do_no_harm():
    scores = np.array([0.0] * 10 + [1.0] * 9 + [0.4])
    assert fit_band(scores, 0.5) == (0.4, 0.5)


def test_equal_scores_at_the_threshold_make_a_band_of_no_width():
    assert fit_band(np.full(40, 0.5), 0.5) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("scores", "threshold"),
    [([], 0.5), ([0.4] * 19, 0.5), ([0.4] * 40, np.nan), ([0.4] * 40, np.inf)],
    ids=["no cells", "a twentieth is less than one", "no threshold", "nothing is positive"],
)
def test_without_cells_or_threshold_there_is_none(scores, threshold):
    assert fit_band(np.array(scores), threshold) is None


def test_the_shape_of_the_scores_does_not_matter():
    scores = np.random.default_rng(1).random(200).astype(np.float32)
    assert fit_band(scores[:, None], 0.5) == fit_band(scores, 0.5)


@given(
    st.lists(st.floats(0, 1), min_size=20, max_size=200),
    st.floats(0, 1),
    st.floats(0.05, 0.5),
)
def test_for_any_scores_it_is_an_interval_around_the_threshold(values, threshold, share):
    scores = np.array(values)
    low, high = fit_band(scores, threshold, share)
    assert 0 <= low <= threshold <= high <= 1
    assert inside(scores, (low, high)) >= int(share * len(scores))
