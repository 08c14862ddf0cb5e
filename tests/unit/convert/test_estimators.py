"""Estimators of ranges: what each of them is by definition, and on distributions that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.convert.estimators import ESTIMATORS, estimate
from allnet_edge.convert.histogram import Histogram

RNG = np.random.default_rng(3)
GAUSSIAN = RNG.normal(size=60_000)
RELU = np.maximum(RNG.normal(size=60_000), 0)
OUTLIER = np.append(RNG.normal(size=60_000), 40.0)


def histogram(values: np.ndarray) -> Histogram:
    found = Histogram()
    found.add(np.asarray(values, np.float32))
    return found


def error(values: np.ndarray, limit: float) -> float:
    """Of int8 around a zero point of 0."""
    scale = limit / 127
    return float(np.square(np.clip(np.rint(values / scale), -127, 127) * scale - values).mean())


def test_min_max_is_all_that_was_seen():
    found = estimate(histogram(OUTLIER), "min-max", symmetric=True)
    assert (found.low, found.high) == pytest.approx((OUTLIER.min(), 40.0))


@pytest.mark.parametrize("percent", [99.9, 99.99, 99.999])
def test_a_percentile_is_that_of_the_magnitudes(percent):
    found = estimate(histogram(GAUSSIAN), f"percentile-{percent}", symmetric=True)
    exact = np.percentile(np.abs(GAUSSIAN), percent, method="inverted_cdf")
    assert found.magnitude == pytest.approx(exact, abs=2 * histogram(GAUSSIAN).width)


def test_mse_is_as_good_as_the_best_of_all_limits():
    found = estimate(histogram(OUTLIER), "mse", symmetric=True)
    limits = np.linspace(0.5, 40, 800)
    best = min(error(OUTLIER, limit) for limit in limits)
    assert error(OUTLIER, found.magnitude) <= 1.05 * best
    assert error(OUTLIER, found.magnitude) < 0.9 * error(OUTLIER, 40.0)


def test_mse_does_not_clip_what_is_evenly_spread():
    values = RNG.uniform(-1, 1, 60_000)
    assert estimate(histogram(values), "mse", symmetric=True).magnitude > 0.98


def test_entropy_drops_an_outlier_and_keeps_the_bulk():
    """The step from 40 to some 4 is what 8 bits need to tell the bulk apart."""
    found = estimate(histogram(OUTLIER), "entropy", symmetric=True)
    assert 2.0 < found.magnitude < 20.0


def test_entropy_keeps_everything_that_is_evenly_spread():
    values = RNG.uniform(-1, 1, 200_000)
    assert estimate(histogram(values), "entropy", symmetric=True).magnitude > 0.9


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("symmetric", [True, False])
class TestAll:
    @pytest.mark.parametrize("values", [GAUSSIAN, RELU, OUTLIER, -RELU], ids="grow")
    def test_a_range_lies_within_what_was_seen_and_is_not_empty(self, estimator, symmetric, values):
        found = estimate(histogram(values), estimator, symmetric=symmetric)
        assert np.float32(values).min() <= found.low < found.high <= np.float32(values).max()
        assert found.magnitude > 3.0

    def test_a_relu_begins_at_0(self, estimator, symmetric):
        assert estimate(histogram(RELU), estimator, symmetric=symmetric).low == 0

    def test_zeros_alone_have_no_width(self, estimator, symmetric):
        found = estimate(histogram(np.zeros(99)), estimator, symmetric=symmetric)
        assert (found.low, found.high) == (0, 0)

    @pytest.mark.parametrize("constant", [3.0, -0.02])
    def test_a_constant_is_covered(self, estimator, symmetric, constant):
        found = estimate(histogram(np.full(99, constant)), estimator, symmetric=symmetric)
        assert found.magnitude == pytest.approx(abs(constant), rel=0.01)

    @given(scale=st.sampled_from([1 / 64, 1.0, 1024.0]))
    def test_powers_of_two_only_scale_it(self, estimator, symmetric, scale):
        plain = estimate(histogram(RELU), estimator, symmetric=symmetric)
        scaled = estimate(histogram(RELU * scale), estimator, symmetric=symmetric)
        assert scaled.high == pytest.approx(plain.high * scale)
