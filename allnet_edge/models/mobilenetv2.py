"""MobileNetV2 with an altered head, from Mollick et al. 2025 (arXiv 2501.14228; abstract only).

From the abstract: MobileNetV2 with ImageNet weights and an altered head, for the four stages of
Aria 2021 (99.69 %). OUR READING, because the head is not told: global average, batch norm, one
dense layer. The tower is Sandler et al. 2018 (arXiv 1801.04381), its width the paper's multiplier.
"""

from types import ModuleType

from allnet_edge.models.towers.api import KerasModel
from allnet_edge.models.towers.blocks import classifier, standardised_input
from allnet_edge.models.towers.mobilenet import mobilenetv2
from allnet_edge.spec.network import NetworkSpec


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    """Build the network for any input side from 32 pixels (the paper's reading: 224)."""
    pixels, x = standardised_input(keras, spec)
    x = mobilenetv2(keras, x, spec.width, spec.bn_momentum)["out_relu"]
    x = keras.layers.GlobalAveragePooling2D(name="head_average")(x)
    x = keras.layers.BatchNormalization(momentum=spec.bn_momentum, name="head_bn")(x)
    return classifier(keras, spec, pixels, x)
