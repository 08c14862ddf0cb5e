"""InceptionV3 without its top (Szegedy et al. 2015, arXiv 1512.00567).

The same layers in the same order as ``keras.applications.InceptionV3``, whose convolutions carry
automatic names; here each is named after its block and branch (``mixed3_double_2_conv``).
"""

from types import ModuleType

from allnet_edge.models.towers.api import Tensor
from allnet_edge.models.towers.blocks import scaled

_Kernel = tuple[int, int]


class _Builder:
    """Applies convolution + batch norm + ReLU with the tower's settings."""

    def __init__(self, keras: ModuleType, width: float, bn_momentum: float) -> None:
        self.keras = keras
        self.width = width
        self.momentum = bn_momentum

    def conv(
        self,
        x: Tensor,
        channels: int,
        kernel: _Kernel,
        name: str,
        *,
        stride: int = 1,
        padding: str = "same",
    ) -> Tensor:
        layers = self.keras.layers
        x = layers.Conv2D(
            scaled(channels, self.width),
            kernel,
            strides=stride,
            padding=padding,
            use_bias=False,
            name=f"{name}_conv",
        )(x)
        x = layers.BatchNormalization(scale=False, momentum=self.momentum, name=f"{name}_bn")(x)
        out: Tensor = layers.Activation("relu", name=f"{name}_relu")(x)
        return out

    def chain(self, x: Tensor, name: str, *steps: tuple[int, _Kernel]) -> Tensor:
        """Convolutions in a row: ``<name>_1``, ``<name>_2``, ..."""
        for number, (channels, kernel) in enumerate(steps, start=1):
            x = self.conv(x, channels, kernel, f"{name}_{number}")
        return x

    def max_pool(self, x: Tensor, name: str) -> Tensor:
        out: Tensor = self.keras.layers.MaxPooling2D(3, strides=2, name=f"{name}_max")(x)
        return out

    def pooled(self, x: Tensor, channels: int, name: str) -> Tensor:
        pool = self.keras.layers.AveragePooling2D(
            3, strides=1, padding="same", name=f"{name}_average"
        )
        return self.conv(pool(x), channels, (1, 1), f"{name}_pool")

    def join(self, name: str, *branches: Tensor) -> Tensor:
        out: Tensor = self.keras.layers.Concatenate(axis=-1, name=name)(list(branches))
        return out


def inceptionv3(
    keras: ModuleType, x: Tensor, width: float = 1.0, bn_momentum: float = 0.99
) -> dict[str, Tensor]:
    """Apply the tower.

    Args:
        x: [n, h, w, 3], standardised; h and w >= 75.
        bn_momentum: Momentum of the batch-norm moving averages.

    Returns:
        The outputs of ``mixed0`` to ``mixed10`` by name.
    """
    make = _Builder(keras, width, bn_momentum)
    x = make.conv(x, 32, (3, 3), "stem_1", stride=2, padding="valid")
    x = make.conv(x, 32, (3, 3), "stem_2", padding="valid")
    x = make.conv(x, 64, (3, 3), "stem_3")
    x = make.max_pool(x, "stem_3")
    x = make.conv(x, 80, (1, 1), "stem_4", padding="valid")
    x = make.conv(x, 192, (3, 3), "stem_5", padding="valid")
    x = make.max_pool(x, "stem_5")

    taps: dict[str, Tensor] = {}
    for name, pool in (("mixed0", 32), ("mixed1", 64), ("mixed2", 64)):
        x = taps[name] = _block_35(make, x, name, pool)
    x = taps["mixed3"] = _reduce_35(make, x, "mixed3")
    for name, inner in (("mixed4", 128), ("mixed5", 160), ("mixed6", 160), ("mixed7", 192)):
        x = taps[name] = _block_17(make, x, name, inner)
    x = taps["mixed8"] = _reduce_17(make, x, "mixed8")
    for name in ("mixed9", "mixed10"):
        x = taps[name] = _block_8(make, x, name)
    return taps


def _block_35(make: _Builder, x: Tensor, name: str, pool: int) -> Tensor:
    single = make.conv(x, 64, (1, 1), f"{name}_single")
    five = make.chain(x, f"{name}_five", (48, (1, 1)), (64, (5, 5)))
    double = make.chain(x, f"{name}_double", (64, (1, 1)), (96, (3, 3)), (96, (3, 3)))
    return make.join(name, single, five, double, make.pooled(x, pool, name))


def _reduce_35(make: _Builder, x: Tensor, name: str) -> Tensor:
    three = make.conv(x, 384, (3, 3), f"{name}_three", stride=2, padding="valid")
    double = make.chain(x, f"{name}_double", (64, (1, 1)), (96, (3, 3)))
    double = make.conv(double, 96, (3, 3), f"{name}_double_3", stride=2, padding="valid")
    return make.join(name, three, double, make.max_pool(x, name))


def _block_17(make: _Builder, x: Tensor, name: str, c: int) -> Tensor:
    single = make.conv(x, 192, (1, 1), f"{name}_single")
    seven = make.chain(x, f"{name}_seven", (c, (1, 1)), (c, (1, 7)), (192, (7, 1)))
    double = make.chain(
        x, f"{name}_double", (c, (1, 1)), (c, (7, 1)), (c, (1, 7)), (c, (7, 1)), (192, (1, 7))
    )
    return make.join(name, single, seven, double, make.pooled(x, 192, name))


def _reduce_17(make: _Builder, x: Tensor, name: str) -> Tensor:
    three = make.conv(x, 192, (1, 1), f"{name}_three_1")
    three = make.conv(three, 320, (3, 3), f"{name}_three_2", stride=2, padding="valid")
    seven = make.chain(x, f"{name}_seven", (192, (1, 1)), (192, (1, 7)), (192, (7, 1)))
    seven = make.conv(seven, 192, (3, 3), f"{name}_seven_4", stride=2, padding="valid")
    return make.join(name, three, seven, make.max_pool(x, name))


def _block_8(make: _Builder, x: Tensor, name: str) -> Tensor:
    single = make.conv(x, 320, (1, 1), f"{name}_single")
    three = make.conv(x, 384, (1, 1), f"{name}_three_1")
    three_split = make.join(
        f"{name}_three",
        make.conv(three, 384, (1, 3), f"{name}_three_2a"),
        make.conv(three, 384, (3, 1), f"{name}_three_2b"),
    )
    double = make.chain(x, f"{name}_double", (448, (1, 1)), (384, (3, 3)))
    double_split = make.join(
        f"{name}_double",
        make.conv(double, 384, (1, 3), f"{name}_double_3a"),
        make.conv(double, 384, (3, 1), f"{name}_double_3b"),
    )
    return make.join(name, single, three_split, double_split, make.pooled(x, 192, name))
