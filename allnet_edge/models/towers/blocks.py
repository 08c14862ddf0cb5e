"""Building blocks that more than one tower or network uses."""

from types import ModuleType

from allnet_edge.models.towers.api import KerasModel, Tensor
from allnet_edge.spec.network import NetworkSpec


def scaled(channels: int, width: float) -> int:
    """A channel count under a width multiplier: a multiple of 8, at least 8; exact at 1.0."""
    return channels if width == 1.0 else max(8, round(channels * width / 8) * 8)


def standardised_input(keras: ModuleType, spec: NetworkSpec) -> tuple[Tensor, Tensor]:
    """The pixel input, and the same standardised by the training set's mean and sd.

    Standardised in float32 also where the rest computes in bfloat16: that has 8 bits of mantissa,
    and would not tell neighbouring grey levels apart once they are shifted.
    """
    size = spec.input_size
    pixels = keras.Input((size, size, 3), name="pixels")
    mean, sd = spec.preprocess.mean, spec.preprocess.sd
    if len(mean) == 1:
        scale: object = 1.0 / sd[0]
        offset: object = -mean[0] / sd[0]
    else:
        scale = [1.0 / s for s in sd]
        offset = [-m / s for m, s in zip(mean, sd, strict=True)]
    rescale = keras.layers.Rescaling(scale, offset, name="standardise", dtype="float32")
    return pixels, rescale(pixels)


def classifier(keras: ModuleType, spec: NetworkSpec, pixels: Tensor, x: Tensor) -> KerasModel:
    """Close a network with its head: one sigmoid unit for two classes, else a softmax.

    Both are float32 also where the rest computes in bfloat16: 128 values between two powers of two
    are too few for a threshold and for the loss.
    """
    logits = keras.layers.Dense(spec.units, name="logits", dtype="float32")(x)
    activation = "sigmoid" if spec.units == 1 else "softmax"
    out = keras.layers.Activation(activation, name="probability", dtype="float32")(logits)
    model: KerasModel = keras.Model(pixels, out, name=spec.network)
    return model


def conv_relu(
    keras: ModuleType, x: Tensor, channels: int, kernel: int, name: str, *, padding: str = "valid"
) -> Tensor:
    """Convolution with bias, then ReLU; ``<name>`` and ``<name>_relu``."""
    x = keras.layers.Conv2D(channels, kernel, padding=padding, name=name)(x)
    out: Tensor = keras.layers.Activation("relu", name=f"{name}_relu")(x)
    return out
