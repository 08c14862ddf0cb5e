"""Bias correction: its arithmetic against convolutions that are really carried out."""

from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from allnet_edge.convert.bias_correction import Axis, rounding_error, shift_of, weight_scale


@dataclass(frozen=True)
class Case:
    side: int
    kernel: int
    stride: int
    dilation: int
    padding: str
    groups: int

    @property
    def reach(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    def mean(self, image: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, int]:
        """Mean of every output channel, and positions a side.

        Image [h, w, c], kernel [out, in of a group, k, k].
        """
        parts = [
            tf.nn.conv2d(
                part[None], weights, self.stride, self.padding, dilations=self.dilation
            ).numpy()[0]
            for part, weights in zip(
                np.split(image, self.groups, axis=-1),
                np.split(kernel.transpose(2, 3, 1, 0), self.groups, axis=-1),
                strict=True,
            )
        ]
        out = np.concatenate(parts, axis=-1)
        return out.mean(axis=(0, 1)), out.shape[0]


CASES = (
    st.builds(
        Case,
        side=st.integers(2, 9),
        kernel=st.sampled_from([1, 2, 3, 5]),
        stride=st.integers(1, 2),
        dilation=st.integers(1, 2),
        padding=st.sampled_from(["SAME", "VALID"]),
        groups=st.sampled_from([1, 2, 4]),
    )
    .filter(lambda case: case.stride == 1 or case.dilation == 1)
    .filter(lambda case: case.padding == "SAME" or case.reach <= case.side)
)


@settings(max_examples=40, deadline=None)
@given(case=CASES, seed=st.integers(0, 9))
def test_on_flat_maps_it_is_exact(case, seed):
    """Where every position holds its channel's mean, the shift is what a convolution says."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=4)
    image = np.broadcast_to(means, (case.side, case.side, 4)).astype(np.float64)
    error = rng.normal(size=(8, 4 // case.groups, case.kernel, case.kernel))
    expected, positions = case.mean(image, error)
    missing = max(0, (positions - 1) * case.stride + case.reach - case.side)
    before = missing // 2 if case.padding == "SAME" else 0
    taps = Axis(case.side, case.kernel, case.stride, case.dilation, before, positions).inside()
    found = shift_of(error, means, groups=case.groups, inside=np.outer(taps, taps))
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_dense_layer_is_a_product():
    rng = np.random.default_rng(0)
    error, means = rng.normal(size=(5, 7)), rng.normal(size=7)
    np.testing.assert_allclose(shift_of(error[:, :, None, None], means), error @ means)


def test_the_error_is_that_of_255_steps_for_each_channel():
    kernel = np.array([[-1.27, 0.014, 0.016], [12.7, 0.04, -0.06], [0, 0, 0]], np.float32)
    found = rounding_error(kernel, 0)
    np.testing.assert_allclose(found, [[0, -0.004, 0.004], [0, -0.04, -0.04], [0, 0, 0]], atol=1e-6)
    np.testing.assert_array_equal(rounding_error(kernel.T.copy(), 1), found.T)


def test_scales_cover_the_larger_end_and_zeros_have_one():
    kernel = np.array([[-2.54, 1.0], [0.5, 1.27], [0, 0]], np.float32)
    np.testing.assert_allclose(weight_scale(kernel, 0), [0.02, 0.01, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (Axis(4, 3, before=1, positions=4), [3 / 4, 1, 3 / 4]),
        (Axis(2, 3, before=1, positions=2), [1 / 2, 1, 1 / 2]),
        (Axis(9, 3, positions=7), [1, 1, 1]),
        (Axis(32, 3, stride=2, before=0, positions=16), [1, 1, 15 / 16]),
        (Axis(3, 3, dilation=2, before=2, positions=3), [1 / 3, 1, 1 / 3]),
    ],
)
def test_the_share_of_positions_inside_a_map(axis, expected):
    np.testing.assert_allclose(axis.inside(), expected)
