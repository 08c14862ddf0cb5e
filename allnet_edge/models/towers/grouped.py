"""Grouped convolution that trains fast on a CPU too, and is deployed as one operator.

In groups a convolution mixes only neighbouring channels (ResNeXt: Xie et al. 2016, arXiv
1611.05431). Both Kerases call XLA for it on a CPU, where its gradient takes 3 to 40 s a layer for 8
images; TensorFlow without XLA has no such gradient. So ``training=True`` computes the same numbers
as a few dense convolutions over 64 channels each, whose kernels are zero between groups: 0.06 to
0.15 s with TensorFlow, 0.04 to 0.5 s with JAX (2 cores). The products with zeros are the price: up
to 16 times the multiplications, and 2 to 4 times the time of PyTorch's own grouped convolution
there. GPUs: not measured.

Without training it is one grouped convolution: one Conv in ONNX, one CONV_2D in TFLite. The kernel
is the same in both, [3, 3, channels of a group, channels], as in ``Conv2D(groups=...)``.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from allnet_edge.models.towers.api import Tensor

_PACK = (
    64  # channels of one dense convolution; 32 is 25 % faster, but XLA compiles it twice as long
)


def grouped_convolution(keras: ModuleType) -> Callable[..., Callable[[Tensor], Tensor]]:
    """A subclass of ``keras.layers.Conv2D``, for that Keras, that takes ``groups`` and no bias."""
    tools = getattr(keras, "ops", keras.backend)
    convolve = getattr(tools, "conv", None) or tools.conv2d

    # Any: which Keras it is is known at run time only, and none ships types for a base class.
    conv2d: Any = keras.layers.Conv2D

    class GroupedConv2D(conv2d):  # type: ignore[misc]  # neither Keras ships types
        """As many channels come out as go in; no bias, no activation."""

        def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
            return self._packed(inputs) if training else self._convolve(inputs, self.kernel)

        def get_prunable_weights(self) -> list[object]:
            """By this method tfmot knows that it may prune the layer."""
            return [self.kernel]

        def _packed(self, inputs: Tensor) -> Tensor:
            channels = self.filters // self.groups
            groups = _groups_together(self.groups, channels)
            width = groups * channels
            apart = np.kron(np.eye(groups), np.ones((channels, channels)))
            mask = tools.cast(apart, self.compute_dtype)
            dense = tools.tile(self.kernel, (1, 1, groups, 1))
            packs = [
                self._convolve(inputs[..., at : at + width], dense[..., at : at + width] * mask)
                for at in range(0, self.filters, width)
            ]
            return packs[0] if len(packs) == 1 else tools.concatenate(packs, -1)

        def _convolve(self, inputs: Tensor, kernel: object) -> Tensor:
            out: Tensor = convolve(inputs, kernel, self.strides, self.padding)
            return out

    return GroupedConv2D


def _groups_together(groups: int, channels: int) -> int:
    """How many groups of so many channels make up one dense convolution: a divisor of all."""
    most = max(1, _PACK // channels)
    return max(n for n in range(1, min(groups, most) + 1) if groups % n == 0)
