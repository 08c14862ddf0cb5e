"""A network once more, layer by layer, with the same weights."""

from collections.abc import Callable

import tf_keras


def copied(
    model: tf_keras.Model,
    change: Callable[[tf_keras.layers.Layer], tf_keras.layers.Layer] | None = None,
) -> tf_keras.Model:
    """Clone a functional tf-keras network and give it the same weights.

    Args:
        change: Makes the new layer from the old one, with weights of the same shapes in the same
            order, or wraps it (``new.layer`` is then what carries the weights). None copies it.
    """
    copy = tf_keras.models.clone_model(model, clone_function=change)
    inner = {getattr(layer, "layer", layer).name: layer for layer in copy.layers}
    for layer in model.layers:
        target = inner[layer.name]
        plain = getattr(target, "layer", target)
        for variable, value in zip(plain.weights, layer.weights, strict=True):
            variable.assign(value)
    return copy
