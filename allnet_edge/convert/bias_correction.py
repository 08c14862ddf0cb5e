"""What the rounding of weights adds to a layer's output on average, to be taken off its bias.

M. Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction"
(arXiv 1906.04721), section 4.2, with means from calibration images: a kernel W that became W + e
shifts output channel o by sum over c, i, j of e[o, c, i, j] E[x_c]. Where a kernel hangs over the
edge of a map it reads zeros, so that each of its taps counts by the share of positions at which it
lies inside; on the small maps at the end of a network that is far from 1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LARGEST = 127
"""Of the grid of weights, which is symmetric: -128 is not used."""

_Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Axis:
    """How a convolution walks along one side of a map.

    Attributes:
        size: Of the map.
        kernel, stride, dilation: Of the convolution.
        before: Zeros in front of the map.
        positions: How many outputs there are.
    """

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    positions: int = 1

    def inside(self) -> _Values:
        """For each tap of the kernel the share of positions that lie inside the map."""
        starts = np.arange(self.positions) * self.stride - self.before
        read = starts[None] + np.arange(self.kernel)[:, None] * self.dilation
        return np.asarray(((read >= 0) & (read < self.size)).mean(axis=1))


def rounding_error(kernel: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    """What int8 with one scale for each slice along ``axis`` adds to weights; their shape.

    In float32, whose own error is 1e-5 of this one.
    """
    shape = [1] * kernel.ndim
    shape[axis] = -1
    scale = weight_scale(kernel, axis).reshape(shape)
    error = kernel / scale
    np.rint(error, out=error)
    error *= scale
    error -= kernel
    return error


def weight_scale(kernel: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    """One scale for each slice along ``axis``: max|w| / 127; 1 where all weights are 0."""
    others = tuple(at for at in range(kernel.ndim) if at != axis)
    largest = np.maximum(kernel.max(axis=others), -kernel.min(axis=others))
    scale = np.where(largest > 0, largest / np.float32(LARGEST), np.float32(1))
    return np.asarray(scale, np.float32)


def shift_of(
    error: npt.NDArray[np.floating],
    means: _Values,
    *,
    groups: int = 1,
    inside: _Values | None = None,
) -> _Values:
    """The mean shift of every output channel.

    Args:
        error: Rounded less true weights [out, in of a group, height, width]; a dense layer's are
            [out, in, 1, 1].
        means: Of the input channels [in].
        groups: Of the convolution.
        inside: [height, width]: for each tap the share of positions inside the map.

    Returns:
        [out], to be subtracted from the bias.
    """
    shares = np.ones(error.shape[2:]) if inside is None else inside
    per_input = np.einsum("ocij,ij->oc", error, shares, dtype=np.float64)
    per_input = per_input.reshape(groups, -1, error.shape[1])
    return np.asarray(np.einsum("goc,gc->go", per_input, means.reshape(groups, -1)).reshape(-1))
