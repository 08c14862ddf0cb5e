"""The conversions at both ends of a quantized graph, against the definition of the grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.engines.litert import TensorFormat, decoder, encoder

PIXELS = np.arange(256, dtype=np.uint8)
INT8, UINT8 = np.dtype(np.int8), np.dtype(np.uint8)


def encoded(tensor: TensorFormat) -> np.ndarray:
    """All pixels as they stand in the tensor."""
    out = np.full(PIXELS.shape, 77, tensor.dtype)
    encoder(tensor)(PIXELS, out)
    return out


STORED = st.sampled_from([INT8, UINT8])


@given(STORED, st.floats(0.05, 8), st.data())
def test_a_stored_pixel_is_the_nearest_on_the_grid(dtype, scale, data):
    limits = np.iinfo(dtype)
    zero_point = data.draw(st.integers(limits.min, limits.max))
    stored = encoded(TensorFormat(dtype, scale, zero_point))
    assert stored.dtype == dtype
    real = scale * (stored.astype(np.float64) - zero_point)
    inside = (stored > limits.min) & (stored < limits.max)
    assert (np.abs(real - PIXELS)[inside] <= scale / 2 * (1 + 1e-9)).all()
    assert (np.diff(stored.astype(int)) >= 0).all()


@given(STORED, st.integers(-128, 127))
def test_values_beyond_the_grid_stay_at_its_end(dtype, zero_point):
    limits = np.iinfo(dtype)
    stored = encoded(TensorFormat(dtype, 0.5, zero_point)).astype(int)
    expected = np.clip(2 * PIXELS.astype(int) + zero_point, limits.min, limits.max)
    np.testing.assert_array_equal(stored, expected)


def test_scale_one_and_zero_point_minus_128_is_an_exact_shift():
    stored = encoded(TensorFormat(INT8, 1.0, -128))
    np.testing.assert_array_equal(stored, PIXELS.astype(int) - 128)


@pytest.mark.parametrize("grid", [(0.0, 0), (1.0, 0)])
def test_plain_uint8_passes_as_it_is(grid):
    np.testing.assert_array_equal(encoded(TensorFormat(UINT8, *grid)), PIXELS)


def test_float_pixels_keep_their_values():
    stored = encoded(TensorFormat(np.dtype(np.float32)))
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, PIXELS)


def test_halves_go_away_from_zero_as_in_the_runtime():
    stored = encoded(TensorFormat(UINT8, 2.0, 0))
    np.testing.assert_array_equal(stored[[1, 3, 5]], [1, 2, 3])


@pytest.mark.parametrize(
    "tensor",
    [TensorFormat(INT8), TensorFormat(np.dtype(np.int16), 1.0, 0), TensorFormat(INT8, -1.0)],
)
def test_inputs_that_have_no_meaning_are_refused(tensor):
    with pytest.raises(ValueError, match="input is int"):
        encoder(tensor)


@given(STORED, st.floats(1e-4, 1), st.integers(-128, 127))
def test_an_output_is_its_place_on_the_grid(dtype, scale, zero_point):
    limits = np.iinfo(dtype)
    stored = np.arange(limits.min, limits.max + 1).astype(dtype)
    values = decoder(TensorFormat(dtype, scale, zero_point))(stored)
    expected = scale * (stored.astype(np.float64) - zero_point)
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_a_sigmoid_on_the_usual_grid_spans_zero_to_one():
    ends = decoder(TensorFormat(INT8, 1 / 256, -128))(np.array([-128, 127], np.int8))
    np.testing.assert_array_equal(ends, [0, 255 / 256])


def test_an_integer_output_without_a_scale_is_refused():
    with pytest.raises(ValueError, match="without a scale"):
        decoder(TensorFormat(INT8))
