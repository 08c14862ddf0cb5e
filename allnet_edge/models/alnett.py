"""ALNett (Jawahar et al. 2022, doi 10.1016/j.compbiomed.2022.105894; the abstract is public).

From the abstract: depthwise convolutions of different dilation rates; clusters of convolution and
max pooling, then normalisation. OUR READING: everything else. A 3x3 convolution of stride 2 with
batch norm and ReLU; four clusters of 32, 64, 128 and 256 channels, each three depthwise 3x3
convolutions side by side at dilation 1, 2 and 3, concatenated, mixed by a 1x1 convolution with
ReLU, a max pool and a batch norm; then global average, 128 dense units with ReLU, dropout 0.3.

The printed F1 of 0.96 cannot come from the evaluation that gave the accuracy of 91.13 %: at that
accuracy 0.9536 is the largest possible. Not to be confused with ALLNet (Mattapalli & Athavale).
"""

from types import ModuleType

from allnet_edge.models.towers.api import KerasModel, Tensor
from allnet_edge.models.towers.blocks import classifier, conv_relu, scaled, standardised_input
from allnet_edge.spec.network import NetworkSpec

_CHANNELS = (32, 64, 128, 256)
_DILATIONS = (1, 2, 3)


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    """Build the network for any input side from 32 pixels (our reading: 224)."""
    layers = keras.layers
    pixels, x = standardised_input(keras, spec)
    x = layers.Conv2D(
        scaled(32, spec.width), 3, strides=2, padding="same", use_bias=False, name="stem_conv"
    )(x)
    x = layers.BatchNormalization(momentum=spec.bn_momentum, name="stem_bn")(x)
    x = layers.Activation("relu", name="stem_relu")(x)
    for number, channels in enumerate(_CHANNELS, start=1):
        x = _cluster(keras, x, scaled(channels, spec.width), f"cluster{number}", spec.bn_momentum)
    x = layers.GlobalAveragePooling2D(name="head_average")(x)
    x = layers.Dense(scaled(128, spec.width), activation="relu", name="head_dense")(x)
    x = layers.Dropout(0.3, name="head_dropout")(x)
    return classifier(keras, spec, pixels, x)


def _cluster(keras: ModuleType, x: Tensor, channels: int, name: str, bn_momentum: float) -> Tensor:
    """Three views of every channel, mixed, pooled to half the side, normalised."""
    layers = keras.layers
    views = [
        layers.DepthwiseConv2D(
            3, padding="same", dilation_rate=dilation, name=f"{name}_dilated{dilation}"
        )(x)
        for dilation in _DILATIONS
    ]
    x = layers.Concatenate(axis=-1, name=f"{name}_views")(views)
    x = conv_relu(keras, x, channels, 1, f"{name}_mix")
    x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    out: Tensor = layers.BatchNormalization(momentum=bn_momentum, name=f"{name}_bn")(x)
    return out
