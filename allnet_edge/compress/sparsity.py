"""Which weights may be 2:4 sparse, and whether they are."""

import numpy as np
import numpy.typing as npt

Kernel = npt.NDArray[np.generic]


def eligible_for_2_4(shape: tuple[int, ...]) -> bool:
    """Whether a kernel [kh, kw, cin, cout] or [cin, cout] can be 2:4 along its input channels.

    A convolution of 3 colour channels cannot, nor a dense layer with one output unit, which stays
    in full precision anyway.
    """
    return len(shape) in (2, 4) and shape[-2] % 4 == 0 and shape[-1] > 1


def share_of_valid_blocks(kernel: Kernel) -> float:
    """Share of blocks of four neighbouring input channels with at least two zeros.

    Args:
        kernel: [kh, kw, cin, cout] or [cin, cout], cin a multiple of 4.
    """
    channels_last = np.moveaxis(kernel, -2, -1)
    blocks = channels_last.reshape(-1, 4)
    return float(((blocks == 0).sum(axis=1) >= 2).mean())


def sparsity(kernel: Kernel) -> float:
    """Share of weights that are exactly zero."""
    return float((kernel == 0).mean())
