"""MobileNetV2 without its top (Sandler et al. 2018, arXiv 1801.04381).

Layer names, weight shapes and their order are those of ``keras.applications.MobileNetV2`` with
``alpha`` = width. Its explicit paddings are ``same`` paddings here: they pad alike.
"""

from types import ModuleType

from allnet_edge.models.towers.api import Tensor

_EPSILON = 1e-3
_LAST = 1280
# Output channels, blocks, stride of the first one.
_STACKS = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))


class _Builder:
    """Applies layers with the tower's settings."""

    def __init__(self, keras: ModuleType, bn_momentum: float) -> None:
        self.keras = keras
        self.momentum = bn_momentum

    def conv(
        self, x: Tensor, channels: int, name: str, norm: str, *, kernel: int = 1, stride: int = 1
    ) -> Tensor:
        """Convolution without bias, and its batch norm."""
        x = self.keras.layers.Conv2D(
            channels, kernel, strides=stride, padding="same", use_bias=False, name=name
        )(x)
        return self._norm(x, norm)

    def depthwise(self, x: Tensor, name: str, *, stride: int) -> Tensor:
        x = self.keras.layers.DepthwiseConv2D(
            3, strides=stride, padding="same", use_bias=False, name=name
        )(x)
        return self._norm(x, f"{name}_BN")

    def relu6(self, x: Tensor, name: str) -> Tensor:
        out: Tensor = self.keras.layers.ReLU(6.0, name=name)(x)
        return out

    def block(self, x: Tensor, channels: int, name: str, *, stride: int, expand: bool) -> Tensor:
        """Inverted residual: widen six-fold, convolve each channel by itself, narrow."""
        inputs, before = x, x.shape[-1]
        if expand:
            x = self.conv(x, 6 * before, f"{name}_expand", f"{name}_expand_BN")
            x = self.relu6(x, f"{name}_expand_relu")
        x = self.depthwise(x, f"{name}_depthwise", stride=stride)
        x = self.relu6(x, f"{name}_depthwise_relu")
        x = self.conv(x, channels, f"{name}_project", f"{name}_project_BN")
        if stride == 1 and before == channels:
            x = self.keras.layers.Add(name=f"{name}_add")([inputs, x])
        return x

    def _norm(self, x: Tensor, name: str) -> Tensor:
        out: Tensor = self.keras.layers.BatchNormalization(
            epsilon=_EPSILON, momentum=self.momentum, name=name
        )(x)
        return out


def mobilenetv2(
    keras: ModuleType, x: Tensor, width: float = 1.0, bn_momentum: float = 0.99
) -> dict[str, Tensor]:
    """Apply the tower.

    Args:
        x: [n, h, w, 3], standardised; h and w >= 32.
        width: The paper's multiplier; below 1 it leaves the last 1280 channels alone.
        bn_momentum: Momentum of the batch-norm moving averages.

    Returns:
        The output of every block by name (``out_relu``, 1280 channels or more, is the top).
    """
    make = _Builder(keras, bn_momentum)
    x = make.conv(x, _channels(32 * width), "Conv1", "bn_Conv1", kernel=3, stride=2)
    x = make.relu6(x, "Conv1_relu")
    taps: dict[str, Tensor] = {}
    for channels, depth, stride in _STACKS:
        for block in range(depth):
            name = f"block_{len(taps)}" if taps else "expanded_conv"
            x = taps[name] = make.block(
                x,
                _channels(int(channels * width)),
                name,
                stride=1 if block else stride,
                expand=bool(taps),
            )
    x = make.conv(x, _channels(_LAST * max(1.0, width)), "Conv_1", "Conv_1_bn")
    taps["out_relu"] = make.relu6(x, "out_relu")
    return taps


def _channels(wanted: float) -> int:
    """The nearest multiple of 8, at least 8, and not below nine tenths of what is wanted.

    This is the rule of the published weights; ``blocks.scaled`` rounds in another way.
    """
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest
