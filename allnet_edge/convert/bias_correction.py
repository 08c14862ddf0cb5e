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


def rounded(kernel: npt.NDArray[np.float32], scale: npt.NDArray[np.float32]) -> _Values:
    """What int8 makes of weights; ``scale`` broadcasts against them."""
    steps = np.clip(np.rint(kernel / scale), -127, 127)
    return np.asarray(steps * scale, np.float64)


def shift_of(
    error: _Values, means: _Values, *, groups: int = 1, inside: _Values | None = None
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
    taps = error if inside is None else error * inside
    per_input = taps.sum(axis=(2, 3)).reshape(groups, -1, error.shape[1])
    return np.asarray(np.einsum("goc,gc->go", per_input, means.reshape(groups, -1)).reshape(-1))
