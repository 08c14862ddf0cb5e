"""Calibration: bins, expected calibration error and Brier score, against other ways to get them."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from allnet_edge.measure.reliability import BINS, bin_of, reliability, squared_errors
from allnet_edge.measure.scored import Scored


def binary(seed: int = 0, n: int = 400) -> Scored:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.5
    return Scored.by_threshold(labels, np.clip(rng.normal(0.3 + 0.4 * labels, 0.2), 0, 1), 0.5)


def softmax(seed: int = 0, n: int = 400, k: int = 4) -> Scored:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    powers = np.exp(rng.normal(0, 1, (n, k)) + 1.5 * np.eye(k)[labels])
    return Scored.by_argmax(labels, powers / powers.sum(axis=1, keepdims=True))


def test_bins_of_two_classes_are_scikit_learns():
    scored = binary()
    share, said = calibration_curve(scored.labels, scored.scores[:, 1], n_bins=BINS)
    bins = reliability(scored)
    np.testing.assert_allclose([one.share for one in bins], share)
    np.testing.assert_allclose([one.probability for one in bins], said)
    assert sum(one.n for one in bins) == len(scored)


@pytest.mark.parametrize("scored", [binary(), softmax()], ids=["binary", "softmax"])
def test_every_probability_lies_in_its_bin(scored):
    for one in reliability(scored):
        assert one.lower <= one.probability <= one.upper


def test_bounds_of_a_bin_belong_to_it_from_above():
    assert bin_of(np.array([0.0, 0.5, 0.5000001, 1.0]), 2).tolist() == [0, 0, 1, 1]


def test_the_top_label_is_what_several_classes_are_binned_by():
    scored = softmax()
    expected = np.zeros(BINS)
    for row, label in zip(scored.scores, scored.labels, strict=True):
        at = min(int(np.ceil(row.max() * BINS)) - 1, BINS - 1)
        expected[at] += row.max() - (row.argmax() == label)
    bins = {round(one.upper * BINS) - 1: one for one in reliability(scored)}
    for at, total in enumerate(expected):
        held = bins[at].n * (bins[at].probability - bins[at].share) if at in bins else 0.0
        assert held == pytest.approx(total, abs=1e-9)


def test_brier_of_two_classes_is_scikit_learns():
    scored = binary(3)
    expected = brier_score_loss(scored.labels, scored.scores[:, 1])
    assert squared_errors(scored).mean() == pytest.approx(expected)


def test_brier_of_several_classes_is_the_sum_over_them():
    scored = softmax(3)
    slow = [
        sum((p - (k == label)) ** 2 for k, p in enumerate(row))
        for row, label in zip(scored.scores, scored.labels, strict=True)
    ]
    np.testing.assert_allclose(squared_errors(scored), slow)
