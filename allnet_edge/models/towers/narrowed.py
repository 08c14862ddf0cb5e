"""A network with fewer channels in single layers: what structured pruning leaves.

The network is built whole and then once more from its own configuration, with other filters and
units. So no builder has to know of pruning, and a layer keeps its name, its place and its kind.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from allnet_edge.errors import RecipeError
from allnet_edge.models.towers.api import KerasModel, Layer

_COUNTS = ("filters", "units")


def narrowed(keras: ModuleType, model: KerasModel, channels: Mapping[str, int]) -> KerasModel:
    """The same network with other channel counts and fresh weights.

    Args:
        keras: The Keras that built ``model``.
        model: Functional; it is left as it was.
        channels: Filters of a convolution or units of a dense layer, by the layer's name. In a
            grouped convolution the groups keep their width, so that there are fewer of them;
            depth-wise convolutions and batch norms follow what they read.

    Raises:
        RecipeError: A layer that the network does not have or that has no channel count, a count
            that is not below or equal to the network's, part of a group, or layers whose sum is
            taken but which differ in their channels.
    """
    known = {layer.name for layer in model.layers}
    for name in channels:
        if name not in known:
            raise RecipeError(
                f"the network has no layer '{name}', but channels are given for it",
                where="channels",
                fix="use the description that was written with these weights",
            )
    try:
        copy: KerasModel = keras.models.clone_model(
            model, clone_function=lambda layer: _with_channels(layer, channels.get(layer.name))
        )
    except ValueError as error:
        raise RecipeError(
            f"the channels of these layers do not fit together: {error}", where="channels"
        ) from error
    return copy


def _with_channels(layer: Layer, count: int | None) -> Layer:
    """A fresh copy of a layer, with ``count`` output channels where it is given."""
    # Any: a layer's configuration is Keras' own JSON, which differs from kind to kind.
    kind: Any = layer.__class__
    config: dict[str, Any] = kind.get_config(layer)
    if count is not None:
        config.update(_changed(layer.name, config, count))
    copy: Layer = kind.from_config(config)
    return copy


def _changed(name: str, config: Mapping[str, Any], count: int) -> dict[str, int]:
    key = next((key for key in _COUNTS if key in config), None)
    if key is None or not 1 <= count <= config[key]:
        had = "no channels of its own" if key is None else f"{config[key]} channels"
        raise RecipeError(f"'{name}' has {had}, it cannot be given {count}", where="channels")
    groups = config.get("groups", 1)
    if groups == 1:
        return {key: count}
    width = config[key] // groups
    if count % width:
        raise RecipeError(
            f"'{name}' has groups of {width} channels, {count} is no multiple", where="channels"
        )
    return {key: count, "groups": count // width}
