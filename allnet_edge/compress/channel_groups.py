"""Units that are alike: the choices that pruning has, and what each choice saves."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.compress.channel_graph import ChannelGraph, Units

Kept = npt.NDArray[np.bool_]
"""[units], which units stay."""


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Units of the same layers, of which any number can be removed.

    Attributes:
        name: The first layer that writes them.
        layers: All layers that write them.
        units: int64 [n], in the order of the channels.
        width: Output channels that a unit is in the widest of its layers; more than 1 only where
            a grouped convolution ties them.
        reads, writes: For each layer how many input and output channels one unit is.
    """

    name: str
    layers: tuple[str, ...]
    units: Units
    width: int
    reads: dict[str, int]
    writes: dict[str, int]


def channel_groups(graph: ChannelGraph) -> tuple[tuple[ChannelGroup, ...], dict[str, str]]:
    """The groups that can be pruned, and why other layers are left whole.

    Returns:
        Groups in the order of the network; and for each layer with a kernel whose output channels
        cannot be removed the reason.
    """
    found: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
    for name, layer in graph.layers.items():
        for role, axis in (("reads", layer.reads), ("writes", layer.writes)):
            if axis is not None:
                for unit, times in zip(*np.unique(axis, return_counts=True), strict=True):
                    found[int(unit)].append((role, name, int(times)))
    alike: dict[tuple[tuple[str, str, int], ...], list[int]] = defaultdict(list)
    for unit in sorted(found):
        if unit not in graph.fixed:
            alike[tuple(found[unit])].append(unit)
    return tuple(_group(graph, key, units) for key, units in alike.items()), _left(graph)


def macs_of_kept(graph: ChannelGraph, kept: Kept) -> int:
    """Multiply-accumulates of one image with some units removed, as ``size.macs_of`` counts."""
    total = 0
    for layer in graph.layers.values():
        outputs = int(kept[layer.writes].sum())
        if layer.reads is None:
            inputs = 1
        elif layer.groups > 1:
            inputs = len(layer.reads) // layer.groups
        else:
            inputs = int(kept[layer.reads].sum())
        total += layer.macs * inputs * outputs
    return total


def _group(
    graph: ChannelGraph, key: tuple[tuple[str, str, int], ...], units: list[int]
) -> ChannelGroup:
    reads = {name: times for role, name, times in key if role == "reads"}
    writes = {name: times for role, name, times in key if role == "writes"}
    made = tuple(name for name in writes if graph.layers[name].reads is not None)
    width = max(writes[name] for name in made)
    return ChannelGroup(made[0], made, np.array(units, np.int64), width, reads, writes)


def _left(graph: ChannelGraph) -> dict[str, str]:
    reasons = {}
    for name, layer in graph.layers.items():
        if layer.reads is not None:
            why = next((graph.fixed[int(u)] for u in layer.writes if int(u) in graph.fixed), None)
            if why is not None:
                reasons[name] = why
    return reasons
