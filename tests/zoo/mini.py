"""The smallest network with everything that training treats in a way of its own.

A batch norm and a dropout: three kernels, for tests that train many times, or that compile in
every one of their processes.
"""

from types import ModuleType

from allnet_edge.models.towers.api import KerasModel
from allnet_edge.models.towers.blocks import classifier, conv_relu, standardised_input
from allnet_edge.spec.network import NetworkSpec


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    layers = keras.layers
    pixels, x = standardised_input(keras, spec)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="stem_conv")(x)
    x = layers.BatchNormalization(momentum=spec.bn_momentum, name="stem_bn")(x)
    x = layers.Activation("relu", name="stem_relu")(x)
    x = conv_relu(keras, x, 16, 3, "head_conv")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(0.25, name="dropout")(x)
    return classifier(keras, spec, pixels, x)
