"""ResNet50 without its top (He et al. 2015, arXiv 1512.03385; the stride in the first 1x1).

Layer names, weight shapes and their order are those of ``keras.applications.ResNet50``.
"""

from types import ModuleType

from allnet_edge.models.towers.api import Tensor
from allnet_edge.models.towers.blocks import scaled

_STACKS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_EPSILON = 1.001e-5


def resnet50(
    keras: ModuleType, x: Tensor, width: float = 1.0, bn_momentum: float = 0.99
) -> dict[str, Tensor]:
    """Apply the tower.

    Args:
        x: [n, h, w, 3], standardised.
        bn_momentum: Momentum of the batch-norm moving averages.

    Returns:
        The output of every residual block by name (``conv5_block3_out`` is the top).
    """
    layers = keras.layers
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(scaled(64, width), 7, strides=2, name="conv1_conv")(x)
    x = _bn_relu(keras, x, "conv1", bn_momentum)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    taps: dict[str, Tensor] = {}
    for stack, (channels, depth, stride) in enumerate(_STACKS, start=2):
        for block in range(1, depth + 1):
            name = f"conv{stack}_block{block}"
            first = block == 1
            x = _bottleneck(
                keras, x, name, (channels, 4 * channels), stride if first else 1, first, width,
                bn_momentum,
            )  # fmt: skip
            taps[f"{name}_out"] = x
    return taps


def _bn(keras: ModuleType, x: Tensor, name: str, momentum: float) -> Tensor:
    out: Tensor = keras.layers.BatchNormalization(
        epsilon=_EPSILON, momentum=momentum, name=f"{name}_bn"
    )(x)
    return out


def _bn_relu(keras: ModuleType, x: Tensor, name: str, momentum: float) -> Tensor:
    x = _bn(keras, x, name, momentum)
    out: Tensor = keras.layers.Activation("relu", name=f"{name}_relu")(x)
    return out


def _bottleneck(
    keras: ModuleType,
    x: Tensor,
    name: str,
    channels: tuple[int, int],
    stride: int,
    project: bool,
    width: float,
    momentum: float,
) -> Tensor:
    layers = keras.layers
    inner, outer = (scaled(count, width) for count in channels)
    shortcut = x
    if project:
        shortcut = layers.Conv2D(outer, 1, strides=stride, name=f"{name}_0_conv")(x)
        shortcut = _bn(keras, shortcut, f"{name}_0", momentum)
    x = layers.Conv2D(inner, 1, strides=stride, name=f"{name}_1_conv")(x)
    x = _bn_relu(keras, x, f"{name}_1", momentum)
    x = layers.Conv2D(inner, 3, padding="same", name=f"{name}_2_conv")(x)
    x = _bn_relu(keras, x, f"{name}_2", momentum)
    x = layers.Conv2D(outer, 1, name=f"{name}_3_conv")(x)
    x = _bn(keras, x, f"{name}_3", momentum)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    out: Tensor = layers.Activation("relu", name=f"{name}_out")(x)
    return out
