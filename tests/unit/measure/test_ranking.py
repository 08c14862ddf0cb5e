"""Areas under the curves, of the cells and of their resamples, against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from allnet_edge.measure.metrics import roc_auc
from allnet_edge.measure.ranking import (
    Ranking,
    average_precision,
    precision_recall_curve,
    precisions_at_positives,
)
from allnet_edge.measure.scored import Side


def made(seed: int, n: int = 120, decimals: int = 6) -> Side:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.4
    scores = np.round(np.clip(rng.normal(np.where(truth, 0.6, 0.4), 0.2), 0, 1), decimals)
    return Side(truth, scores >= 0.5, scores)


@pytest.mark.parametrize("decimals", [6, 1, 0], ids=["no ties", "ties", "two scores"])
@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_scikit_learns(seed, decimals):
    side = made(seed, decimals=decimals)
    expected = oracle.average_precision_score(side.truth, side.scores)
    assert average_precision(side.truth, side.scores) == pytest.approx(expected, abs=1e-12)


def test_a_class_without_a_cell_has_no_average_precision():
    assert np.isnan(average_precision(np.zeros(3, bool), np.array([0.1, 0.2, 0.3])))


@pytest.mark.parametrize("decimals", [6, 1])
def test_areas_of_resamples_are_those_of_the_cells_really_drawn(decimals, monkeypatch):
    side = made(5, decimals=decimals)
    owner = np.random.default_rng(1).integers(0, 12, side.truth.size)
    weights = np.random.default_rng(2).multinomial(12, np.full(12, 1 / 12), size=50)
    monkeypatch.setattr("allnet_edge.measure.ranking._BLOCK", 700)  # several blocks
    roc, precision = Ranking.of(side).areas(weights, owner)
    for row, one, other in zip(weights, roc, precision, strict=True):
        drawn = np.repeat(np.arange(owner.size), row[owner])
        truth, scores = side.truth[drawn], side.scores[drawn]
        assert one == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-12)
        assert other == pytest.approx(oracle.average_precision_score(truth, scores), abs=1e-12)


def test_a_resample_without_a_class_is_unknown_not_zero():
    side = Side(np.array([True, False]), np.array([True, False]), np.array([0.9, 0.1]))
    roc, precision = Ranking.of(side).areas(np.array([[2, 0], [0, 2]]), np.array([0, 1]))
    assert np.isnan(roc).all()
    assert precision[0] == 1
    assert np.isnan(precision[1])


@pytest.mark.parametrize("decimals", [6, 1])
def test_the_curve_has_scikit_learns_points(decimals):
    side = made(7, decimals=decimals)
    curve = precision_recall_curve(side)
    precision, recall, _ = oracle.precision_recall_curve(side.truth, side.scores)
    np.testing.assert_allclose(curve.precision, precision[::-1])
    np.testing.assert_allclose(curve.recall, recall[::-1])


def test_a_thinned_curve_keeps_both_ends():
    side = made(8, n=5000)
    curve = precision_recall_curve(side, points=50)
    assert curve.recall.size <= 51
    assert (curve.recall[0], curve.recall[-1]) == (0, 1)
    assert curve.precision[-1] == pytest.approx(side.truth.mean())


@pytest.mark.parametrize("decimals", [6, 1])
def test_precisions_at_the_positive_cells_have_the_average_precision_as_their_mean(decimals):
    side = made(9, decimals=decimals)
    values = precisions_at_positives(side)
    assert values.size == side.truth.sum()
    assert values.mean() == pytest.approx(average_precision(side.truth, side.scores), abs=1e-12)
    first = np.flatnonzero(side.truth)[0]
    at_least = side.scores >= side.scores[first]
    assert values[0] == pytest.approx(side.truth[at_least].mean())


def test_the_roc_area_is_the_one_of_metrics():
    side = made(4, decimals=1)
    once, _ = Ranking.of(side).areas(np.ones((1, 1)), np.zeros(side.truth.size, np.int64))
    assert once[0] == pytest.approx(roc_auc(side.truth, side.scores), abs=1e-12)
