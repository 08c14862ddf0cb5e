"""Histograms grow in one pass, exactly: order and cuts leave no trace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.convert.histogram import BINS, Histogram

MAGNITUDES = st.floats(1e-6, 1e6)


def of(*images: np.ndarray) -> Histogram:
    found = Histogram()
    for image in images:
        found.add(np.asarray(image, np.float32))
    return found


def facts(found: Histogram) -> tuple[object, ...]:
    return found.low, found.high, found.zeros, found.width, found.counts.tolist()


def same(one: Histogram, other: Histogram) -> bool:
    return facts(one) == facts(other)


@given(scales=st.lists(MAGNITUDES, min_size=2, max_size=5), seed=st.integers(0, 99))
def test_order_and_cuts_leave_no_trace(scales, seed):
    rng = np.random.default_rng(seed)
    images = [scale * rng.normal(size=(4, 5, 6)) for scale in scales]
    whole = of(*images)
    assert same(of(*images[::-1]), whole)
    assert same(of(*images[:1]).merged(of(*images[1:])), whole)
    assert same(of(*images[1:]).merged(of(*images[:1])), whole)


@given(scale=MAGNITUDES, seed=st.integers(0, 99))
def test_every_value_is_in_its_bin(scale, seed):
    values = (scale * np.random.default_rng(seed).normal(size=1000)).astype(np.float32)
    found = of(values)
    edges = np.arange(-BINS, BINS + 1) * found.width
    expected = np.histogram(values.astype(np.float64), edges)[0]
    np.testing.assert_array_equal(found.counts, expected)
    assert found.counts.sum() == 1000
    assert (found.low, found.high) == (values.min(), values.max())


@given(scale=MAGNITUDES)
def test_at_least_half_of_the_bins_of_a_side_are_in_use(scale):
    found = of(np.array([0.0, scale]))
    assert BINS / 2 <= scale / found.width < BINS


def test_folded_counts_are_those_of_magnitudes():
    values = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    found = of(values)
    np.testing.assert_array_equal(found.folded(), of(np.abs(values)).counts[BINS:])


def test_zeros_are_counted_by_themselves():
    found = of(np.array([0.0, 0.0, 0.0, 1.0, -0.0]))
    assert found.zeros == 4
    assert found.counts[BINS] == 4


@pytest.mark.parametrize("values", [np.zeros(7), np.full(7, 1e-38)])
def test_nothing_is_a_magnitude_of_next_to_nothing(values):
    found = of(values)
    assert found.magnitude < 1e-30
    assert found.counts.sum() == 7


def test_an_empty_histogram_has_no_magnitude():
    assert Histogram().magnitude == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match="NaN or infinite"):
        of(np.array([1.0, bad]))


def test_of_a_large_tensor_every_channel_row_and_column_gets_its_share():
    """One channel alone is large: its share of the counts is its share of the values."""
    rng = np.random.default_rng(0)
    for shape in ((1, 125, 125, 64), (1, 64, 125, 125)):
        values = rng.uniform(0, 1, shape).astype(np.float32)
        one = values[..., 5] if shape[-1] == 64 else values[:, 5]
        one += 8
        values[0, 7, 7, 7] = 11.5
        found = of(values)
        counted = found.counts.sum()
        assert counted < values.size / 10
        large = found.counts[BINS + int(4 / found.width) :].sum()
        assert large / counted == pytest.approx(1 / 64, rel=0.05)
        assert found.high == 11.5, "the ends are those of all values"
