"""A network without batch norm and dropout: it trains the same however a batch is split."""

from types import ModuleType

from allnet_edge.models.towers.api import KerasModel
from allnet_edge.models.towers.blocks import classifier, conv_relu, standardised_input
from allnet_edge.spec.network import NetworkSpec


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    pixels, x = standardised_input(keras, spec)
    x = keras.layers.AveragePooling2D(4, name="small")(x)
    x = conv_relu(keras, x, 8, 3, "conv")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return classifier(keras, spec, pixels, x)
