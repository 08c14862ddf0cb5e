"""A network of the tests that has one of everything that converters treat in a way of its own.

Convolutions with and without bias, batch norms, a residual sum, branches that are concatenated,
max and average pools, a flattened map larger than 1x1, dropout and a dense head: seconds where
ALLNet takes minutes. Its layers carry the names that our converters look for.
"""

from types import ModuleType

from allnet_edge.models.towers.api import KerasModel, Tensor
from allnet_edge.models.towers.blocks import classifier, conv_relu, standardised_input
from allnet_edge.spec.network import NetworkSpec


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    layers = keras.layers

    def conv_bn(x: Tensor, channels: int, kernel: int, name: str, stride: int = 1) -> Tensor:
        x = layers.Conv2D(
            channels, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        return layers.BatchNormalization(momentum=spec.bn_momentum, name=f"{name}_bn")(x)

    pixels, x = standardised_input(keras, spec)
    x = layers.Activation("relu", name="stem_relu")(conv_bn(x, 8, 3, "stem", stride=2))
    residual = layers.Activation("relu", name="block_1_relu")(conv_bn(x, 8, 3, "block_1"))
    residual = conv_bn(residual, 8, 3, "block_2")
    x = layers.Add(name="block_add")([x, residual])
    x = layers.Activation("relu", name="block_out")(x)
    left = conv_relu(keras, x, 8, 1, "left")
    left = layers.MaxPooling2D(2, name="left_pool")(left)
    right = layers.AveragePooling2D(2, name="right_average")(x)
    right = layers.Activation("relu", name="right_relu")(conv_bn(right, 8, 1, "right"))
    x = layers.Concatenate(axis=-1, name="joined")([left, right])
    x = conv_relu(keras, x, 16, 3, "head_conv")
    x = layers.MaxPooling2D(2, name="head_pool")(x)
    x = layers.Flatten(name="head_flatten")(x)
    x = layers.Dense(16, activation="relu", name="head_dense")(x)
    x = layers.Dropout(0.25, name="head_dropout")(x)
    return classifier(keras, spec, pixels, x)
