"""ResNet50 without its top (He et al. 2015, arXiv 1512.03385; the stride in the first 1x1).

Layer names, weight shapes and their order are those of ``keras.applications.ResNet50``.
"""

from types import ModuleType

from allnet_edge.models.towers.api import Tensor
from allnet_edge.models.towers.blocks import scaled

_STACKS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_EPSILON = 1.001e-5


class _Builder:
    """Applies layers with the tower's settings."""

    def __init__(self, keras: ModuleType, width: float, bn_momentum: float) -> None:
        self.keras = keras
        self.width = width
        self.momentum = bn_momentum

    def conv(self, x: Tensor, channels: int, kernel: int, name: str, *, stride: int = 1) -> Tensor:
        out: Tensor = self.keras.layers.Conv2D(
            scaled(channels, self.width),
            kernel,
            strides=stride,
            padding="same" if kernel == 3 else "valid",
            name=f"{name}_conv",
        )(x)
        return out

    def norm(self, x: Tensor, name: str) -> Tensor:
        out: Tensor = self.keras.layers.BatchNormalization(
            epsilon=_EPSILON, momentum=self.momentum, name=f"{name}_bn"
        )(x)
        return out

    def relu(self, x: Tensor, name: str) -> Tensor:
        out: Tensor = self.keras.layers.Activation("relu", name=name)(x)
        return out

    def bottleneck(self, x: Tensor, inner: int, name: str, *, stride: int, project: bool) -> Tensor:
        """Residual block 1x1, 3x3, 1x1; with ``project`` the shortcut is convolved too."""
        shortcut = x
        if project:
            shortcut = self.conv(x, 4 * inner, 1, f"{name}_0", stride=stride)
            shortcut = self.norm(shortcut, f"{name}_0")
        x = self.norm(self.conv(x, inner, 1, f"{name}_1", stride=stride), f"{name}_1")
        x = self.relu(x, f"{name}_1_relu")
        x = self.norm(self.conv(x, inner, 3, f"{name}_2"), f"{name}_2")
        x = self.relu(x, f"{name}_2_relu")
        x = self.norm(self.conv(x, 4 * inner, 1, f"{name}_3"), f"{name}_3")
        x = self.keras.layers.Add(name=f"{name}_add")([shortcut, x])
        return self.relu(x, f"{name}_out")


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
    make = _Builder(keras, width, bn_momentum)
    x = keras.layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = make.norm(make.conv(x, 64, 7, "conv1", stride=2), "conv1")
    x = make.relu(x, "conv1_relu")
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    taps: dict[str, Tensor] = {}
    for stack, (inner, depth, stride) in enumerate(_STACKS, start=2):
        for block in range(1, depth + 1):
            name, first = f"conv{stack}_block{block}", block == 1
            x = taps[f"{name}_out"] = make.bottleneck(
                x, inner, name, stride=stride if first else 1, project=first
            )
    return taps
