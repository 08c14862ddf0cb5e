"""Thresholds against going through every possible one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.artifacts.manifest import Threshold
from allnet_edge.errors import DataError
from allnet_edge.measure.metrics import confusion
from allnet_edge.measure.thresholds import fit_threshold, transfer_threshold


def _labels(text: str) -> np.ndarray:
    return np.array([character == "+" for character in text])


def test_fit_separates_what_can_be_separated_in_the_middle_of_the_gap() -> None:
    assert fit_threshold(_labels("--++"), np.array([0.1, 0.2, 0.6, 0.9])) == pytest.approx(0.4)


def test_fit_prefers_the_wider_of_two_equally_good_gaps() -> None:
    # Balanced accuracy is 3/4 both in (0.05, 0.45] and in (0.48, 0.52]; the first is wider.
    scores = np.array([0.05, 0.45, 0.48, 0.52])
    assert fit_threshold(_labels("-+-+"), scores) == pytest.approx(0.25)


def test_fit_prefers_the_gap_nearest_to_one_half_among_equally_wide_ones() -> None:
    scores = np.array([0.125, 0.25, 0.375, 0.5])
    assert fit_threshold(_labels("-+-+"), scores) == pytest.approx(0.4375)
    assert fit_threshold(_labels("-+-+"), scores + 0.5) == pytest.approx(0.6875)


@pytest.mark.parametrize("seed", range(6))
def test_fit_reaches_the_best_balanced_accuracy_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[True, False], rng.random(120) < 0.7])
    scores = np.round(np.clip(rng.normal(np.where(labels, 0.6, 0.45), 0.2), 0, 1), 2)
    levels = np.append(np.unique(scores), 2.0)
    best = max(confusion(labels, scores, level).balanced_accuracy for level in levels)
    got = fit_threshold(labels, scores)
    assert confusion(labels, scores, got).balanced_accuracy == pytest.approx(best)


def test_fit_does_not_favour_the_larger_class() -> None:
    """Accuracy alone would call all of these positive."""
    labels = _labels("-" * 10 + "+" * 90)
    scores = np.concatenate([np.full(10, 0.70), np.full(30, 0.65), np.full(60, 0.9)])
    assert fit_threshold(labels, scores) == pytest.approx(0.8)


def test_fit_between_neighbouring_floats_still_separates_them() -> None:
    low = 0.5
    high = np.nextafter(low, 1)
    assert fit_threshold(_labels("-+"), np.array([low, high])) == high


def test_fit_refuses_what_it_cannot_fit() -> None:
    with pytest.raises(DataError, match="one class"):
        fit_threshold(_labels("+++"), np.array([0.1, 0.2, 0.3]))
    with pytest.raises(DataError, match=r"same score \(0.25\)") as caught:
        fit_threshold(_labels("+-"), np.array([0.25, 0.25]))
    assert caught.value.fix is not None
    assert "collapsed" in caught.value.fix
    with pytest.raises(DataError, match="validation scores are NaN"):
        fit_threshold(_labels("+-"), np.array([0.25, np.nan]))
    with pytest.raises(DataError, match="3 scores for 2 cells"):
        fit_threshold(_labels("+-"), np.array([0.2, 0.3, 0.4]))


def test_transfer_to_equal_scores_keeps_the_threshold() -> None:
    scores = np.random.default_rng(0).random(50)
    assert transfer_threshold(scores, 0.37, scores) == 0.37


def _logistic(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def test_transfer_undoes_a_shift_and_a_scale_of_the_logits() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(0.5, 2, 400)
    after = 1.2 * before - 0.7
    got = transfer_threshold(_logistic(before), 0.6, _logistic(after))
    at = np.log(0.6 / 0.4)
    # One vote for a slope of 1 among 400 cells, and the cut of the furthest.
    assert np.log(got / (1 - got)) == pytest.approx(1.2 * at - 0.7, abs=0.01)


def _called_more(before: np.ndarray, after: np.ndarray, known: int, threshold: float) -> float:
    """How many more cells are called positive of those that the threshold was not taken from."""
    got = transfer_threshold(before[:known], threshold, after[:known])
    return float((after[known:] >= got).mean() - (before[known:] >= threshold).mean())


def test_transfer_from_few_cells_calls_as_many_of_the_others_positive() -> None:
    """Matching the count on the few is off by twice as much."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        before = rng.normal(1, 3, 5000)
        after = before + 0.4 + rng.normal(0, 0.6, before.size)
        found.append(_called_more(_logistic(before), _logistic(after), 165, 0.5))
    assert np.sqrt(np.mean(np.square(found))) < 0.008
    assert abs(np.mean(found)) < 0.005


def test_transfer_is_not_led_astray_by_cells_that_int8_rounds_to_0_or_1() -> None:
    rng = np.random.default_rng(2)
    before = rng.normal(1, 4, 300)
    exact = _logistic(before + 0.3)
    rounded = np.round(exact * 256) / 256
    assert (rounded == 0).sum() > 10
    one, other = (transfer_threshold(_logistic(before), 0.6, x) for x in (exact, rounded))
    assert other == pytest.approx(one, abs=0.01)


def test_transfer_from_a_single_cell_takes_its_shift() -> None:
    before, after = np.array([0.7]), np.array([0.6])
    got = transfer_threshold(before, 0.5, after)
    assert _logits(got) == pytest.approx(_logits(0.6) - _logits(0.7), abs=0.3)


def _logits(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def test_transfer_to_a_network_without_an_opinion_does_not_crash() -> None:
    before = np.array([0.1, 0.9, 0.8])
    assert 0 <= transfer_threshold(before, 0.5, np.full(3, 0.3)) <= 1
    assert 0 <= transfer_threshold(np.full(3, 0.5), 0.5, np.full(3, 0.7)) <= 1
    assert math.isnan(transfer_threshold(before, 0.5, np.array([0.1, np.nan, 0.3])))


@given(
    st.lists(
        st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=30
    ),
    st.floats(0, 1),
)
def test_a_transferred_threshold_is_a_probability(pairs, threshold) -> None:
    """The bundle refuses any other, after everything else is done."""
    before, after = np.array(pairs).T
    got = transfer_threshold(before, threshold, after)
    assert Threshold(threshold=got, fitted_on="validation").threshold == got


def test_transfer_refuses_float_scores_that_are_no_numbers() -> None:
    with pytest.raises(DataError, match="float scores are NaN"):
        transfer_threshold(np.array([np.nan]), 0.5, np.array([0.1]))
    with pytest.raises(DataError, match="1 scores for 2 cells"):
        transfer_threshold(np.array([0.1, 0.2]), 0.5, np.array([0.1]))
