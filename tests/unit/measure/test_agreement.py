"""How rungs of the ladder differ."""

import math

import numpy as np
import pytest

from allnet_edge.errors import DataError
from allnet_edge.measure.agreement import Agreement, compare, list_flips


def test_equal_outputs_differ_in_nothing_and_have_no_noise() -> None:
    scores = np.array([0.0, 0.3, 1.0])
    assert compare(scores, scores) == Agreement(3, 0.0, 0.0, None, 0)


def test_differences_are_of_probabilities_and_flips_of_decisions() -> None:
    got = compare(np.array([0.4, 0.6, 0.9]), np.array([0.5, 0.6, 0.8]))
    assert (got.max_abs, got.mean_abs) == pytest.approx((0.1, 0.2 / 3))
    assert got.flips == 1
    moved = compare(np.array([0.4, 0.6]), np.array([0.5, 0.7]), candidate_threshold=0.6)
    assert moved.flips == 0


def test_logit_noise_is_in_decibels() -> None:
    reference = np.array([1.0, -2.0])
    noisy = reference + np.array([0.1, -0.1])

    def probability(logits: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-logits))

    got = compare(probability(reference), probability(noisy))
    assert got.logit_snr_db == pytest.approx(10 * math.log10(5 / 0.02))


def test_saturated_probabilities_do_not_make_infinite_noise() -> None:
    got = compare(np.array([1.0, 0.0]), np.array([1.0 - 1e-9, 0.0]))
    assert got.logit_snr_db is None
    half = compare(np.array([0.5]), np.array([0.6]))
    assert half.logit_snr_db is not None
    assert math.isfinite(half.logit_snr_db)


def test_several_classes_are_decided_by_the_largest() -> None:
    reference = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]])
    candidate = np.array([[0.3, 0.5, 0.2], [0.1, 0.8, 0.1]])
    assert compare(reference, candidate).flips == 1
    single = np.array([[0.4], [0.6]])
    assert compare(single, single[::-1]).flips == 2


def test_outputs_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(DataError, match=r"shapes \(2,\) and \(3,\)"):
        compare(np.zeros(2), np.zeros(3))
    with pytest.raises(DataError, match="shapes"):
        compare(np.zeros(0), np.zeros(0))
    with pytest.raises(DataError, match="1 of 2 candidate outputs are NaN"):
        compare(np.zeros(2), np.array([0.1, np.nan]))


def test_flips_name_cell_and_direction_with_the_missed_leukemic_cells_first() -> None:
    labels = np.array([False, True, True, False, True])
    before = np.array([0.9, 0.6, 0.9, 0.1, 0.4])
    after = np.array([0.1, 0.4, 0.1, 0.1, 0.6])
    flips = list_flips("abcde", labels, before, after, float_threshold=0.5, edge_threshold=0.5)
    assert [flip.id for flip in flips] == ["c", "b", "a", "e"]
    assert [flip.direction for flip in flips] == ["positive_to_negative"] * 3 + [
        "negative_to_positive"
    ]
    assert [flip.harmful for flip in flips] == [True, True, False, False]
    assert (flips[0].float_score, flips[0].edge_score, flips[0].label) == (0.9, 0.1, True)


def test_flips_use_each_networks_own_threshold() -> None:
    labels, before, after = np.array([True]), np.array([0.5]), np.array([0.5])
    assert not list_flips("a", labels, before, after, float_threshold=0.5, edge_threshold=0.5)
    flip = list_flips("a", labels, before, after, float_threshold=0.5, edge_threshold=0.6)[0]
    assert flip.direction == "positive_to_negative"


def test_flips_of_different_cells_are_refused() -> None:
    with pytest.raises(DataError, match="1 ids, 2 labels"):
        list_flips(
            ["a"],
            np.array([True, False]),
            np.zeros(2),
            np.zeros(2),
            float_threshold=0.5,
            edge_threshold=0.5,
        )
