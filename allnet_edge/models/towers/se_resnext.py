"""SE-ResNeXt50-32x4d without its top, with the paddings of its PyTorch original.

ResNeXt: Xie et al. 2016 (arXiv 1611.05431); squeeze and excitation: Hu et al. 2017 (arXiv
1709.01507). PyTorch pads a strided convolution by one zero at every side, and the first pool, in
ceil mode, at the far sides only where a window would stick out; Keras' ``same`` does neither.
"""

from types import ModuleType

from allnet_edge.models.towers.api import Tensor
from allnet_edge.models.towers.blocks import scaled
from allnet_edge.models.towers.grouped import grouped_convolution

# Channels of a group, channels that come out, blocks.
_STAGES = ((4, 256, 3), (8, 512, 4), (16, 1024, 6), (32, 2048, 3))
_GROUPS = 32
_SQUEEZE = 16
_EPSILON = 1e-5


class _Builder:
    """Applies layers with the tower's settings."""

    def __init__(self, keras: ModuleType, width: float, bn_momentum: float) -> None:
        self.layers = keras.layers
        self.grouped = grouped_convolution(keras)
        self.width = width
        self.groups = _GROUPS if width == 1.0 else max(2, round(_GROUPS * width / 2) * 2)
        self.momentum = bn_momentum

    def conv(
        self, x: Tensor, channels: int, name: str, *, kernel: int = 1, stride: int = 1
    ) -> Tensor:
        x = self.layers.Conv2D(
            channels, kernel, strides=stride, use_bias=False, name=f"{name}_conv"
        )(x)
        return self.norm(x, name)

    def conv_in_groups(self, x: Tensor, name: str, *, stride: int) -> Tensor:
        if stride > 1:
            x = self.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        x = self.grouped(
            x.shape[-1],
            3,
            strides=stride,
            padding="same" if stride == 1 else "valid",
            groups=self.groups,
            use_bias=False,
            name=f"{name}_conv",
        )(x)
        return self.norm(x, name)

    def norm(self, x: Tensor, name: str) -> Tensor:
        out: Tensor = self.layers.BatchNormalization(
            epsilon=_EPSILON, momentum=self.momentum, name=f"{name}_bn"
        )(x)
        return out

    def relu(self, x: Tensor, name: str) -> Tensor:
        out: Tensor = self.layers.Activation("relu", name=name)(x)
        return out

    def excite(self, x: Tensor, name: str) -> Tensor:
        """Weigh every channel by what the means of all channels say of it."""
        channels = x.shape[-1]
        weight = self.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_average")(x)
        weight = self.layers.Conv2D(channels // _SQUEEZE, 1, name=f"{name}_squeeze")(weight)
        weight = self.relu(weight, f"{name}_squeeze_relu")
        weight = self.layers.Conv2D(channels, 1, name=f"{name}_excite")(weight)
        weight = self.layers.Activation("sigmoid", name=f"{name}_sigmoid")(weight)
        out: Tensor = self.layers.Multiply(name=f"{name}_scale")([x, weight])
        return out

    def bottleneck(
        self, x: Tensor, per_group: int, channels: int, name: str, *, stride: int, project: bool
    ) -> Tensor:
        """1x1, 3x3 in groups, 1x1, excitation, sum; with ``project`` the shortcut is convolved."""
        shortcut = x
        if project:
            shortcut = self.conv(x, channels, f"{name}_0", stride=stride)
        x = self.relu(self.conv(x, self.groups * per_group, f"{name}_1"), f"{name}_1_relu")
        x = self.relu(self.conv_in_groups(x, f"{name}_2", stride=stride), f"{name}_2_relu")
        x = self.excite(self.conv(x, channels, f"{name}_3"), f"{name}_se")
        x = self.layers.Add(name=f"{name}_add")([shortcut, x])
        return self.relu(x, f"{name}_out")


def se_resnext50(
    keras: ModuleType, x: Tensor, width: float = 1.0, bn_momentum: float = 0.99
) -> dict[str, Tensor]:
    """Apply the tower.

    Args:
        x: [n, h, w, 3], standardised; h and w >= 32.
        width: Multiplier of the channels and, since a group keeps its width, of the 32 groups.
        bn_momentum: Momentum of the batch-norm moving averages.

    Returns:
        The output of every block by name (``stage4_block3_out`` is the top).
    """
    make = _Builder(keras, width, bn_momentum)
    x = keras.layers.ZeroPadding2D(3, name="stem_pad")(x)
    x = make.relu(make.conv(x, scaled(64, width), "stem", kernel=7, stride=2), "stem_relu")
    # Ceil mode: on an odd side the last window fits, and nothing is padded.
    padding = "valid" if x.shape[1] % 2 else "same"
    x = keras.layers.MaxPooling2D(3, strides=2, padding=padding, name="stem_pool")(x)
    taps: dict[str, Tensor] = {}
    for stage, (per_group, channels, depth) in enumerate(_STAGES, start=1):
        for block in range(1, depth + 1):
            name, first = f"stage{stage}_block{block}", block == 1
            x = taps[f"{name}_out"] = make.bottleneck(
                x,
                per_group,
                scaled(channels, width),
                name,
                stride=2 if first and stage > 1 else 1,
                project=first,
            )
    return taps
