"""Intervals against independent oracles, published figures and their promised coverage."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, stats

from allnet_edge.errors import DataError
from allnet_edge.measure.intervals import (
    Interval,
    auc_score,
    delong,
    delong_difference,
    student_quantile,
    tango,
    wilson,
)
from allnet_edge.measure.metrics import roc_auc

Z95 = stats.norm.ppf(0.95)


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (1, 20), (13, 16), (549, 639), (7, 7)])
def test_wilson_equals_scipy(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(0.9, method="wilson")
    assert wilson(successes, n, 0.95) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == Interval(0, 1)


def test_wilson_takes_counts_that_are_not_whole_and_another_quantile() -> None:
    z = float(stats.norm.ppf(0.95))
    assert wilson(13, 16, z=z) == pytest.approx(wilson(13, 16, 0.95))
    assert wilson(6.5, 8, z=z / math.sqrt(2)) == pytest.approx(wilson(13, 16, 0.95))


def _hanley_mcneil(area: float, positives: int, negatives: int) -> float:
    """The variance as Hanley & McNeil 1982 wrote it, at the mean class size as Newcombe has it."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    more = (positives + negatives) / 2 - 1
    spread = area * (1 - area) + more * (q1 - area**2) + more * (q2 - area**2)
    return spread / (positives * negatives)


@pytest.mark.parametrize(
    ("area", "positives", "negatives"),
    [(0.5, 10, 10), (0.86, 51, 58), (0.99, 1447, 692), (1.0, 20, 5), (1.0, 1, 1), (0.0, 9, 4)],
)
def test_auc_score_bounds_are_where_the_area_is_just_significant(
    area: float, positives: int, negatives: int
) -> None:
    lower, upper = auc_score(area, positives, negatives, 0.95)
    assert 0 <= lower <= area <= upper <= 1
    assert lower < upper
    for bound in {lower, upper} - {0.0, 1.0}:
        distance = abs(area - bound) / math.sqrt(_hanley_mcneil(bound, positives, negatives))
        assert distance == pytest.approx(Z95, rel=1e-6)


def test_auc_score_of_one_cell_a_class_is_wilsons() -> None:
    assert auc_score(1.0, 1, 1) == pytest.approx(wilson(1, 1), abs=1e-12)
    assert auc_score(0.0, 1, 1) == pytest.approx(wilson(0, 1), abs=1e-12)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 30, 101, 2000])
@pytest.mark.parametrize("probability", [0.5, 0.8, 0.95, 0.999])
def test_student_quantile_equals_scipy(degrees: int, probability: float) -> None:
    expected = stats.t.ppf(probability, degrees)
    assert student_quantile(probability, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_tango_gives_the_published_interval() -> None:
    """Airway reactivity before and after transplantation, n = 21: Fagerland et al. 2014."""
    lower, upper = tango(1, 7, 21, 0.975)
    assert (round(lower, 3), round(upper, 3)) == (-0.517, -0.026)


@pytest.mark.parametrize("n", [1, 3, 50, 132, 133, 2139])
def test_tango_keeps_a_width_when_no_pair_differs(n: int) -> None:
    bound = Z95**2 / (n + Z95**2)
    assert tango(0, 0, n) == pytest.approx((-bound, bound), abs=1e-12)


def _score_statistic(gains: int, losses: int, n: int, difference: float) -> float:
    """Tango's statistic with the likelihood maximised by search instead of by formula."""

    def minus_log_likelihood(q: float) -> float:
        cells = ((gains, q + difference), (losses, q), (n - gains - losses, 1 - 2 * q - difference))
        return -sum(count * math.log(max(p, 1e-300)) for count, p in cells if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    options = {"xatol": 1e-13}
    best = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(low, high), method="bounded", options=options
    ).x
    q = min([best, low, high], key=minus_log_likelihood)
    variance = n * (2 * q + difference - difference**2)
    return (gains - losses - n * difference) / math.sqrt(variance)


@pytest.mark.parametrize(
    ("gains", "losses", "n"),
    [(1, 7, 21), (6, 16, 161), (0, 1, 44), (3, 0, 12), (5, 5, 40), (0, 30, 60), (12, 29, 1447)],
)
def test_tango_bounds_are_where_the_score_test_is_just_significant(
    gains: int, losses: int, n: int
) -> None:
    lower, upper = tango(gains, losses, n)
    assert _score_statistic(gains, losses, n, lower) == pytest.approx(Z95, abs=1e-4)
    assert _score_statistic(gains, losses, n, upper) == pytest.approx(-Z95, abs=1e-4)


def test_tango_at_the_extremes() -> None:
    assert tango(0, 9, 9).lower == pytest.approx(-1, abs=1e-9)
    assert tango(9, 0, 9).upper == pytest.approx(1, abs=1e-9)
    assert -1 < tango(0, 1, 1).upper < 1


def _multinomial(n: int, p_gain: float, p_loss: float) -> dict[tuple[int, int], float]:
    pairs = ((b, c) for b, c in itertools.product(range(n + 1), repeat=2) if b + c <= n)
    law = stats.multinomial(n, [p_gain, p_loss, 1 - p_gain - p_loss])
    return {(b, c): float(law.pmf([b, c, n - b - c])) for b, c in pairs}


@pytest.mark.parametrize(
    ("p_gain", "p_loss"), [(0.02, 0.05), (0.05, 0.05), (0.1, 0.2), (0.01, 0.1)]
)
def test_tango_lower_bound_holds_as_often_as_promised(p_gain: float, p_loss: float) -> None:
    """Exact, by going through every outcome of 60 pairs; a score interval is right on average."""
    n, truth = 60, p_gain - p_loss
    outcomes = {k: p for k, p in _multinomial(n, p_gain, p_loss).items() if p > 1e-9}
    bounds = {k: tango(*k, n) for k in outcomes}
    below = sum(p for k, p in outcomes.items() if bounds[k].lower <= truth)
    above = sum(p for k, p in outcomes.items() if bounds[k].upper >= truth)
    assert 0.92 < below < 0.99
    assert 0.92 < above < 0.995


def test_an_edge_network_that_is_exactly_one_margin_worse_rarely_passes() -> None:
    """The gate's error of the first kind, exact: P(pass) when the true drop is the margin."""
    n, margin = 200, 0.02
    outcomes = {k: p for k, p in _multinomial(n, 0.01, 0.03).items() if p > 1e-8}
    passed = sum(p for k, p in outcomes.items() if tango(*k, n).lower >= -margin)
    assert passed < 0.06


def _delong_by_pairs(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """The definition: structural components over every pair of a positive and a negative cell."""
    positive, negative = scores[labels], scores[~labels]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    v10, v01 = wins.mean(axis=1), wins.mean(axis=0)
    return wins.mean(), v10.var(ddof=1) / positive.size + v01.var(ddof=1) / negative.size


@pytest.mark.parametrize("seed", range(4))
def test_delong_equals_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.random(90) < 0.4
    scores = np.round(rng.normal(labels.astype(float), 1), 1)  # with ties
    area, variance = delong(labels, scores)
    assert (area, variance) == pytest.approx(_delong_by_pairs(labels, scores))
    assert area == pytest.approx(roc_auc(labels, scores))


def test_delong_difference_holds_as_often_as_promised() -> None:
    rng = np.random.default_rng(5)
    quiet, loud = stats.norm.cdf(1 / np.sqrt(2 * 1.25)), stats.norm.cdf(1 / np.sqrt(2 * 2))
    hits, runs = 0, 400
    for _ in range(runs):
        labels = np.arange(160) < 80
        signal = rng.normal(labels.astype(float), 1)
        first = signal + rng.normal(0, 0.5, 160)
        second = signal + rng.normal(0, 1, 160)
        lower, upper = delong_difference(labels, first, second, 0.95)
        hits += lower <= loud - quiet <= upper
    assert abs(hits / runs - 0.90) < 0.05


def test_delong_difference_of_equal_rankings_has_no_width() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.random(50) < 0.5, rng.random(50)
    assert delong_difference(labels, scores, scores**3) == (0, 0)


def test_delong_refuses_one_class_and_lengths_that_differ() -> None:
    with pytest.raises(DataError, match="both classes"):
        delong(np.ones(4, dtype=bool), np.arange(4.0))
    with pytest.raises(DataError, match="each of 4 cells"):
        delong_difference(np.array([True, False] * 2), np.arange(4.0), np.arange(3.0))
