"""The custom CNN of Mollick et al. 2025 (arXiv 2501.14228; the abstract is all that is public).

From the abstract: convolutions, each paired with a max pool. OUR READING: four pairs with 32, 64,
128 and 128 channels, a dense layer of 128 units and dropout of one half. It is small: it serves as
a student, and wherever a whole build has to be quick.
"""

from types import ModuleType

from allnet_edge.models.towers.api import KerasModel
from allnet_edge.models.towers.blocks import classifier, conv_relu, scaled, standardised_input
from allnet_edge.spec.network import NetworkSpec

_CHANNELS = (32, 64, 128, 128)


def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
    """Build the network for any input side from 32 pixels."""
    pixels, x = standardised_input(keras, spec)
    for number, channels in enumerate(_CHANNELS, start=1):
        x = conv_relu(keras, x, scaled(channels, spec.width), 3, f"conv{number}", padding="same")
        x = keras.layers.MaxPooling2D(2, name=f"conv{number}_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(scaled(128, spec.width), activation="relu", name="dense")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(x)
    return classifier(keras, spec, pixels, x)
