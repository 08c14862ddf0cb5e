"""Layers that keep the weights they came with."""

import re

import keras

from allnet_edge.errors import RecipeError


def freeze(network: keras.Model, layers: str) -> list[str]:
    """Stop training the layers whose whole name matches; returns their names.

    Raises:
        RecipeError: None matches.
    """
    found = [layer for layer in network.layers if re.fullmatch(layers, layer.name)]
    if not found:
        raise RecipeError(
            f"freeze: no layer of {network.name} is called '{layers}'",
            fix=f"its layers are: {', '.join(layer.name for layer in network.layers[:8])}, ...",
        )
    for layer in found:
        layer.trainable = False
    return [layer.name for layer in found]
