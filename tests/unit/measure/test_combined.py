"""Intervals made of other intervals: they hold the value, and the truth as often as promised."""

import numpy as np
import pytest

from allnet_edge.measure.combined import (
    f1_of_share,
    predictive_value,
    ratio,
    square_and_add,
    together,
)
from allnet_edge.measure.intervals import Interval, wilson
from allnet_edge.measure.rates import npv_at, ppv_at

TAIL = 0.975


def test_a_mean_of_one_share_has_its_interval():
    own = wilson(17, 20, TAIL)
    assert square_and_add([17 / 20], [own], [1.0]) == pytest.approx(own)
    assert together([own], [1.0]) == pytest.approx(own)


def test_independent_shares_make_a_narrower_interval_than_those_that_move_together():
    own = wilson(80, 100, TAIL)
    apart = square_and_add([0.8, 0.8], [own, own], [0.5, 0.5])
    alike = together([own, own], [0.5, 0.5])
    assert alike == pytest.approx(own)
    assert alike.lower < apart.lower < 0.8 < apart.upper < alike.upper
    assert 0.8 - apart.lower == pytest.approx((0.8 - own.lower) / np.sqrt(2))


def test_f1_of_a_share_is_exact_at_the_value():
    tp, fp, fn = 30, 5, 9
    share = tp / (tp + fp + fn)
    assert f1_of_share(Interval(share, share)).lower == pytest.approx(2 * tp / (2 * tp + fp + fn))


@pytest.mark.parametrize(("alarms", "found"), [(0, 20), (3, 20), (20, 0), (0, 1), (7, 3), (0, 0)])
def test_a_ratio_lies_in_its_interval(alarms, found):
    low, high = ratio(alarms / 20, wilson(alarms, 20, TAIL), found / 20, wilson(found, 20, TAIL))
    assert 0 <= low < high
    if found:
        assert low <= alarms / found + 1e-12 <= high
    assert np.isfinite(high) == (found > 0)


def test_an_error_free_network_keeps_a_width():
    perfect = wilson(40, 40, TAIL)
    low, high = predictive_value(0.1, 1.0, perfect, 1.0, perfect)
    assert high == 1
    assert 0.3 < low < 0.9


def test_predictive_values_are_those_of_bayes():
    counted = 1000 * np.array([0.02 * 0.9, 0.98 * 0.3, 0.98 * 0.7, 0.02 * 0.1])  # tp fp tn fn
    sensitivity, specificity = np.array([0.9]), np.array([0.7])
    expected = counted[0] / counted[:2].sum()
    assert ppv_at(0.02, sensitivity, specificity)[0] == pytest.approx(expected)
    expected = counted[2] / counted[2:].sum()
    assert npv_at(0.02, sensitivity, specificity)[0] == pytest.approx(expected)
    assert np.isnan(ppv_at(0.02, np.array([0.0]), np.array([1.0])))[0]


@pytest.mark.parametrize(
    ("sensitivity", "specificity", "n"), [(0.95, 0.9, 60), (0.8, 0.97, 200), (0.99, 0.99, 80)]
)
def test_predictive_values_hold_the_truth_as_often_as_promised(sensitivity, specificity, n):
    rng = np.random.default_rng(5)
    truth = float(ppv_at(0.1, np.array([sensitivity]), np.array([specificity]))[0])
    mean = (sensitivity + specificity) / 2
    covered = []
    # Near 1 few counts are possible, so that a score interval covers in steps.
    for found, cleared in zip(
        rng.binomial(n, sensitivity, 1500), rng.binomial(n, specificity, 1500), strict=True
    ):
        one, other = wilson(int(found), n, TAIL), wilson(int(cleared), n, TAIL)
        low, high = predictive_value(0.1, found / n, one, cleared / n, other)
        both = square_and_add([found / n, cleared / n], [one, other], [0.5, 0.5])
        covered.append((low <= truth <= high, both.lower <= mean <= both.upper))
    assert np.mean(covered, axis=0).min() > 0.92
