"""Which kernels may be 2:4 sparse, and how zeros are counted."""

import numpy as np
import pytest

from allnet_edge.compress.sparsity import eligible_for_2_4, share_of_valid_blocks, sparsity


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 3, 8, 16), True),
        ((1, 1, 512, 512), True),
        ((64, 10), True),
        ((3, 3, 3, 64), False),  # a stem of three colours
        ((3, 3, 6, 16), False),
        ((256, 1), False),  # the logits
        ((16,), False),  # a bias
        ((3, 8, 16), False),
    ],
)
def test_eligible(shape, expected):
    assert eligible_for_2_4(shape) is expected


@pytest.mark.parametrize(
    ("block", "valid"),
    [
        ([0, 0, 0, 0], True),
        ([0, 1, 0, 0], True),
        ([1, 0, 2, 0], True),
        ([0, 0, 3, 4], True),
        ([1, 0, 2, 3], False),
        ([1, 2, 3, 4], False),
    ],
)
def test_a_block_is_four_neighbouring_input_channels(block, valid):
    dense = np.array(block, np.float32)[:, None]
    assert share_of_valid_blocks(dense) == float(valid)
    assert share_of_valid_blocks(dense[None, None]) == float(valid)
    # The same numbers along the output channels are no block.
    assert share_of_valid_blocks(np.repeat(dense.T, 4, axis=0)) == np.mean(np.array(block) == 0)


def test_blocks_do_not_span_two_groups_of_channels():
    column = np.array([1, 1, 0, 0, 0, 1, 1, 1], np.float32)[:, None]
    assert share_of_valid_blocks(column) == 0.5


def test_sparsity_counts_exact_zeros():
    assert sparsity(np.array([0.0, -0.0, 1e-30, 1.0], np.float32)) == 0.5
