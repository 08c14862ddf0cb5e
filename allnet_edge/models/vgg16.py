"""The VGG16 baseline of ALLNet's paper (Mattapalli & Athavale 2021, arXiv 2108.08195).

From the paper: VGG16 with ImageNet weights and without its top (Simonyan & Zisserman 2014, arXiv
1409.1556), two 1x1 convolutions of 512 channels, a max pool, five fully connected layers of which
the last is a sigmoid unit; the first ten layers frozen. Inferred: these are ``layers[:10]``, the
input up to ``block3_conv3``. OUR READING: the pool is 2x2, the 1x1 convolutions have a ReLU each,
and the fully connected layers have 512, 256, 128, 64 and 1 units.
"""

from types import ModuleType

from allnet_edge.errors import RecipeError
from allnet_edge.models.towers.api import KerasModel
from allnet_edge.models.towers.blocks import classifier, conv_relu, scaled, standardised_input
from allnet_edge.models.towers.vgg import vgg16
from allnet_edge.spec.network import NetworkSpec

SMALLEST = 64
_DENSE = (512, 256, 128, 64)


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    """Build the network for any input side from 64 pixels (the paper's: 250).

    Raises:
        RecipeError: The input side is below 64.
    """
    if spec.input_size < SMALLEST:
        raise RecipeError(
            f"vgg16 takes inputs of {SMALLEST} pixels or more, not {spec.input_size}",
            fix="give --input-size 250 (the paper's) or another value from there",
        )
    pixels, x = standardised_input(keras, spec)
    x = vgg16(keras, x, spec.width)["block5_pool"]
    for number in (1, 2):
        x = conv_relu(keras, x, scaled(512, spec.width), 1, f"head_conv{number}")
    x = keras.layers.MaxPooling2D(2, name="head_pool")(x)
    x = keras.layers.Flatten(name="head_flatten")(x)
    for number, units in enumerate(_DENSE, start=1):
        dense = keras.layers.Dense(
            scaled(units, spec.width), activation="relu", name=f"head_dense{number}"
        )
        x = dense(x)
    return classifier(keras, spec, pixels, x)
