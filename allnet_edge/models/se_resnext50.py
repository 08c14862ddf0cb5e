"""SE-ResNeXt50-32x4d of Prellberg & Kramer 2019 for C-NMC, after their public code.

From the code: blocks [3, 4, 6, 3], squeeze to a sixteenth, global average, one linear unit; in all
25,512,945 parameters; a 7x7 stem with a border of three zeros and a 3x3 max pool in ceil mode;
input: the central 300 of 450 pixels, scaled to 0..1. Inferred: the paddings that give the same in
Keras. OUR READING: a sigmoid on the unit instead of a loss on logits, and the width multiplier,
which scales the number of groups and leaves their width.

Keras has no ImageNet weights for it; the published learning rates are meant for such.
"""

from types import ModuleType

from allnet_edge.models.towers.api import KerasModel
from allnet_edge.models.towers.blocks import classifier, standardised_input
from allnet_edge.models.towers.se_resnext import se_resnext50
from allnet_edge.spec.network import NetworkSpec


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    """Build the network for any input side from 32 pixels (the paper's: 300)."""
    pixels, x = standardised_input(keras, spec)
    x = se_resnext50(keras, x, spec.width, spec.bn_momentum)["stage4_block3_out"]
    x = keras.layers.GlobalAveragePooling2D(name="head_average")(x)
    return classifier(keras, spec, pixels, x)
