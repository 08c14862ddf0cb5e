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


def test_transfer_undoes_a_shift() -> None:
    before = np.array([0.1, 0.3, 0.6, 0.8])
    after = before - 0.25
    got = transfer_threshold(before, 0.5, after)
    assert ((after >= got) == (before >= 0.5)).all()
    assert got == pytest.approx(0.2)


def test_transfer_does_not_look_at_labels_where_the_float_network_errs() -> None:
    """The float network calls the third cell positive; the edge network is to do the same."""
    before, after = np.array([0.1, 0.2, 0.55, 0.9]), np.array([0.1, 0.2, 0.45, 0.9])
    got = transfer_threshold(before, 0.5, after)
    assert 0.2 < got <= 0.45


def test_transfer_balances_what_it_cannot_keep() -> None:
    """Six cells changed places; the count of positives stays, so as many go up as come down."""
    before = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    after = np.array([0.9, 0.4, 0.7, 0.6, 0.2, 0.1])
    got = transfer_threshold(before, 0.5, after)
    edge, wanted = after >= got, before >= 0.5
    assert (edge & ~wanted).sum() == (~edge & wanted).sum() == 1


@pytest.mark.parametrize("seed", range(6))
def test_transfer_calls_as_many_cells_positive(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = rng.random(80)
    after = np.clip(before * 0.8 + rng.normal(0, 0.1, 80), -1, 2)
    got = transfer_threshold(before, 0.5, after)
    assert (after >= got).sum() == (before >= 0.5).sum()


def test_transfer_with_tied_scores_takes_the_nearest_count() -> None:
    before = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    after = np.array([0.75, 0.5, 0.5, 0.5, 0.25])  # 1, 4 or 5 positives are possible, 3 wanted
    got = transfer_threshold(before, 0.5, after)
    assert (after >= got).sum() == 4


def test_transfer_to_a_network_without_an_opinion_does_not_crash() -> None:
    before = np.array([0.1, 0.9, 0.8])
    assert transfer_threshold(before, 0.5, np.full(3, 0.3)) == pytest.approx(0.15, abs=1e-6)
    assert transfer_threshold(before, 0.5, np.full(3, 0.7)) == 0.5
    assert math.isnan(transfer_threshold(before, 0.5, np.array([0.1, np.nan, 0.3])))


def test_transfer_when_the_float_network_calls_no_cell_positive() -> None:
    before = np.array([0.1, 0.2])
    assert not (np.array([0.9, 0.4]) >= transfer_threshold(before, 0.5, np.array([0.9, 0.4]))).any()
    # A score of 1 cannot be called negative by a probability: the nearest to it is 1.
    assert transfer_threshold(before, 0.5, np.array([1.0, 0.4])) == 1.0


def test_transfer_when_the_float_network_calls_all_cells_positive() -> None:
    before, after = np.array([0.8, 0.9]), np.array([0.0, 0.4])
    got = transfer_threshold(before, 0.5, after)
    assert got == 0.0
    assert (after >= got).all()


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
