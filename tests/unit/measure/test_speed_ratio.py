"""Faster, slower, or noise: on times whose truth the test knows."""

from collections import Counter

import numpy as np
import pytest

from allnet_edge.measure.speed_ratio import MARGIN_OF_ONE_PROCESS, speed_ratio


def side(
    rng: np.random.Generator, mean: float, processes: int, *, restart: float, query: float = 0.03
) -> list[np.ndarray]:
    """Processes whose medians differ by ``restart``, their queries by ``query`` (log sd)."""
    return [
        mean * np.exp(rng.normal(0, restart) + rng.normal(0, query, 400)) for _ in range(processes)
    ]


@pytest.mark.parametrize(("processes", "restart"), [(2, 0.01), (3, 0.03), (5, 0.0), (5, 0.02)])
def test_two_measurements_of_one_thing_are_seldom_called_different(processes, restart):
    rng = np.random.default_rng(70 + processes)
    inside = 0
    for _ in range(150):
        pair = [side(rng, 10, processes, restart=restart) for _ in range(2)]
        interval = speed_ratio(*pair, margin=0).interval
        inside += interval.lower <= 1 <= interval.upper
    assert inside >= 0.92 * 150


@pytest.mark.parametrize(("factor", "verdict"), [(1.1, "slower"), (0.9, "faster")])
def test_a_tenth_is_found_in_five_processes(factor, verdict):
    rng = np.random.default_rng(3)
    told = Counter(
        speed_ratio(side(rng, 10, 5, restart=0.01), side(rng, 10 * factor, 5, restart=0.01)).verdict
        for _ in range(20)
    )
    assert told[verdict] == 20


def test_a_real_difference_within_the_margin_is_none():
    rng = np.random.default_rng(4)
    pair = side(rng, 10, 5, restart=0.0005), side(rng, 10.1, 5, restart=0.0005)
    assert speed_ratio(*pair).verdict == "no difference seen"
    assert speed_ratio(*pair, margin=0.001).verdict == "slower"


def test_a_single_process_is_not_believed_about_small_differences():
    rng = np.random.default_rng(5)
    found = speed_ratio(side(rng, 10, 1, restart=0), side(rng, 10.6, 1, restart=0))
    assert found.verdict == "no difference seen"
    assert found.margin == MARGIN_OF_ONE_PROCESS
    assert "a single process" in found.why
    assert speed_ratio(side(rng, 10, 1, restart=0), side(rng, 13, 1, restart=0)).verdict == "slower"


def test_processes_that_disagree_wildly_tell_nothing():
    rng = np.random.default_rng(6)
    found = speed_ratio(side(rng, 10, 2, restart=0.8), side(rng, 10, 2, restart=0.8))
    assert found.verdict == "cannot be told"


def test_the_ratio_is_of_medians_so_that_an_outlier_does_not_move_it():
    steady = [np.full(500, 2.0) for _ in range(3)]
    spiked = [np.r_[np.full(499, 2.0), 900.0] for _ in range(3)]
    found = speed_ratio(steady, spiked)
    assert found.ratio == 1
    assert found.verdict == "no difference seen"
    assert (found.processes, found.n) == ((3, 3), (1500, 1500))


def test_equal_draws_for_an_equal_seed():
    rng = np.random.default_rng(8)
    pair = side(rng, 10, 3, restart=0.01), side(rng, 10, 3, restart=0.01)
    assert speed_ratio(*pair, seed=1) == speed_ratio(*pair, seed=1)
