"""Whether a series rises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, theilslopes

from allnet_edge.measure.trend import trend


def test_slope_and_test_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(0, 1, 40) + np.linspace(0, 1.5, 40), 1)  # with ties
    seen = trend(values)
    assert seen.change == pytest.approx(39 * theilslopes(values).slope)
    # Kendall's tau tests the same; SciPy leaves the correction for continuity out.
    assert seen.p_value == pytest.approx(
        kendalltau(np.arange(40), values, method="asymptotic").pvalue, rel=0.05
    )


def test_without_a_trend_it_is_seldom_significant() -> None:
    rng = np.random.default_rng(1)
    found = np.mean([trend(rng.normal(size=20)).p_value < 0.05 for _ in range(1000)])
    assert 0.03 < found < 0.06


def test_a_constant_series_has_none() -> None:
    assert trend(np.full(12, 3.0)).p_value == 1
    assert trend(np.full(12, 3.0)).change == 0


def test_a_long_series_keeps_its_change() -> None:
    values = np.linspace(1, 4, 5000) + np.random.default_rng(2).normal(0, 0.5, 5000)
    seen = trend(values)
    assert seen.change == pytest.approx(3, abs=0.15)
    assert seen.p_value < 1e-12


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=40))
def test_turned_round_it_goes_the_other_way(values: list[float]) -> None:
    forth, back = trend(np.array(values)), trend(np.array(values[::-1]))
    assert forth.change == pytest.approx(-back.change)
    assert forth.p_value == pytest.approx(back.p_value)
    assert 0 <= forth.p_value <= 1
