"""Two halves of a calibration set: how far apart their ranges may be."""

import numpy as np
import pytest

from allnet_edge.convert.estimators import ESTIMATORS
from allnet_edge.convert.range_stability import compare_halves
from allnet_edge.convert.ranges import Observation


def seen(**tensors: np.ndarray) -> Observation:
    found = Observation()
    found.add((name, np.asarray(values, np.float32), None) for name, values in tensors.items())
    return found


def test_the_median_and_the_worst_tensor_are_found():
    first = seen(a=[1.0], b=[1.0], c=[1.0])
    second = seen(a=[1.0], b=[0.9], c=[4.0])
    found = compare_halves(first, second, "min-max", symmetric=True)
    assert found.median == pytest.approx(0.1)
    assert (found.worst, found.worst_tensor) == (0.75, "c")
    assert found.share_apart == pytest.approx(1 / 3)
    assert not found.stable, "of three tensors one lost two bits"


@pytest.mark.parametrize(("apart", "stable"), [(1, True), (2, False)])
def test_of_twenty_tensors_one_may_be_far_apart(apart, stable):
    first = seen(**{f"t{n}": [1.0] for n in range(20)})
    second = seen(**{f"t{n}": [0.2 if n < apart else 0.95] for n in range(20)})
    found = compare_halves(first, second, "min-max", symmetric=True)
    assert found.worst == pytest.approx(0.8)
    assert found.share_apart == apart / 20
    assert found.stable is stable


def test_it_does_not_matter_which_half_is_first():
    first, second = seen(a=[1.0], b=[2.0]), seen(a=[1.3], b=[1.9])
    found = compare_halves(first, second, "min-max", symmetric=True)
    assert found == compare_halves(second, first, "min-max", symmetric=True)


def test_with_zero_points_the_whole_width_counts():
    """Symmetric, only the larger end is covered, and that one is the same."""
    first, second = seen(a=[-4.0, 8.0]), seen(a=[0.0, 8.0])
    assert compare_halves(first, second, "min-max", symmetric=True).worst == 0
    assert compare_halves(first, second, "min-max", symmetric=False).worst == pytest.approx(1 / 3)


@pytest.mark.parametrize(("apart", "stable"), [(0.14, True), (0.16, False)])
def test_the_tolerance_of_the_median(apart, stable):
    found = compare_halves(seen(a=[1.0]), seen(a=[1 - apart]), "min-max", symmetric=True)
    assert found.stable is stable
    assert found.to_json()["stable"] is stable


def test_a_tensor_that_is_dead_in_both_halves_says_nothing_and_in_one_it_says_much():
    dead = seen(a=[0.0], b=[1.0])
    assert compare_halves(dead, dead, "min-max", symmetric=True).worst_tensor == "b"
    assert compare_halves(dead, dead, "min-max", symmetric=True).stable
    alive = seen(a=[0.5], b=[1.0])
    found = compare_halves(dead, alive, "min-max", symmetric=True)
    assert (found.worst, found.worst_tensor) == (1.0, "a")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_halves_of_one_distribution_are_stable(estimator):
    rng = np.random.default_rng(0)
    first, second = (seen(a=rng.uniform(0, 3, (100, 100)), b=rng.uniform(-1, 1, (100, 100)))
                     for _ in range(2))  # fmt: skip
    assert compare_halves(first, second, estimator, symmetric=False).stable
