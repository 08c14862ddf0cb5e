"""The weights of a network without the channels that were removed."""

import numpy as np
import numpy.typing as npt

from allnet_edge.compress.channel_graph import ChannelGraph, LayerChannels
from allnet_edge.compress.channel_groups import Kept
from allnet_edge.models.storage.weights import Arrays


def without_channels(arrays: Arrays, graph: ChannelGraph, kept: Kept) -> Arrays:
    """Slice every kernel and vector to the channels that stay; nothing is rescaled.

    Args:
        arrays: Of the network that ``graph`` describes.
        kept: bool [units].

    Returns:
        Arrays of the same names in the same order, for the network with ``channels_left``.
    """
    return {
        name: _sliced(array, name, graph.layers.get(name.partition("/")[0]), kept)
        for name, array in arrays.items()
    }


def channels_left(graph: ChannelGraph, kept: Kept) -> dict[str, int]:
    """Filters and units of the layers that lose some, by name."""
    return {
        name: int(kept[layer.writes].sum())
        for name, layer in graph.layers.items()
        if layer.reads is not None and not kept[layer.writes].all()
    }


def _sliced(
    array: npt.NDArray[np.generic], name: str, layer: LayerChannels | None, kept: Kept
) -> npt.NDArray[np.generic]:
    if layer is None:
        return array
    outputs = kept[layer.writes]
    if not name.endswith("/kernel"):
        return array[outputs]
    if layer.reads is None:  # depth-wise: [kh, kw, channels, 1]
        return array[..., outputs, :]
    if layer.groups > 1:  # a group is kept or removed whole: its own inputs stay
        return array[..., outputs]
    return array[..., kept[layer.reads], :][..., outputs]
