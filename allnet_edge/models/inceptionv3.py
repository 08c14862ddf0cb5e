"""The InceptionV3 baseline of ALLNet's paper (Mattapalli & Athavale 2021, arXiv 2108.08195).

From the paper: InceptionV3 with ImageNet weights and without its top (Szegedy et al. 2015, arXiv
1512.00567); it collapsed there, calling every cell positive. OUR READING, because the paper does
not tell the head: global average, then the classifier.
"""

from types import ModuleType

from allnet_edge.errors import RecipeError
from allnet_edge.models.towers.api import KerasModel
from allnet_edge.models.towers.blocks import classifier, standardised_input
from allnet_edge.models.towers.inception import inceptionv3
from allnet_edge.spec.network import NetworkSpec

SMALLEST = 75


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    """Build the network for any input side from 75 pixels (the paper's: 250).

    Raises:
        RecipeError: The input side is below 75.
    """
    if spec.input_size < SMALLEST:
        raise RecipeError(
            f"inceptionv3 takes inputs of {SMALLEST} pixels or more, not {spec.input_size}",
            fix="give --input-size 250 (the paper's) or another value from there",
        )
    pixels, x = standardised_input(keras, spec)
    x = inceptionv3(keras, x, spec.width, spec.bn_momentum)["mixed10"]
    x = keras.layers.GlobalAveragePooling2D(name="head_average")(x)
    return classifier(keras, spec, pixels, x)
