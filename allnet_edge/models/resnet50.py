"""The ResNet50 baseline of ALLNet's paper (Mattapalli & Athavale 2021, arXiv 2108.08195).

From the paper: ResNet50 with ImageNet weights and without its top (He et al. 2015, arXiv
1512.03385). OUR READING, because the paper does not tell the head: global average, then the
classifier.
"""

from types import ModuleType

from allnet_edge.models.towers.api import KerasModel
from allnet_edge.models.towers.blocks import classifier, standardised_input
from allnet_edge.models.towers.resnet import resnet50
from allnet_edge.spec.network import NetworkSpec


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    """Build the network for any input side from 32 pixels (the paper's: 250)."""
    pixels, x = standardised_input(keras, spec)
    x = resnet50(keras, x, spec.width, spec.bn_momentum)["conv5_block3_out"]
    x = keras.layers.GlobalAveragePooling2D(name="head_average")(x)
    return classifier(keras, spec, pixels, x)
