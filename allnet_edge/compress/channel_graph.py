"""Which output channels of a network stand or fall together, found by walking its graph.

Every channel of every tensor gets the number of the unit that it belongs to. Batch norm, ReLU,
pooling, padding and depth-wise convolutions pass a unit on; sums and products make one unit of two;
a concatenation puts units side by side; flattening repeats them; a group of a grouped convolution
is one unit, of its input and its output channels alike. A unit can then be removed whole, and what
is left computes what the network would compute if nothing read that unit. Fang et al. 2023
(DepGraph, arXiv 2301.12900) describe such dependencies of layers; here they are those of channels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tf_keras

from allnet_edge.models.towers.api import Layer

Units = npt.NDArray[np.int64]
"""[channels], the unit of each channel of an axis."""

_L = tf_keras.layers
_PASSES = (
    _L.Activation, _L.ReLU, _L.Dropout, _L.ZeroPadding2D, _L.MaxPooling2D, _L.AveragePooling2D,
    _L.GlobalAveragePooling2D, _L.GlobalMaxPooling2D, _L.Rescaling, _L.BatchNormalization,
)  # fmt: skip
_MIXES = ("softmax",)  # activations that do not work on each channel by itself


@dataclass(frozen=True, slots=True)
class LayerChannels:
    """A layer with weights.

    Attributes:
        reads: Units of the input axis of its kernel; None where the layer works on each channel
            by itself (depth-wise convolution, batch norm).
        writes: Units of its output axis, which are also those of its vectors.
        groups: Of a grouped convolution, else 1.
        macs: Multiply-accumulates for one input and one output channel; of one channel where
            ``reads`` is None.
    """

    reads: Units | None
    writes: Units
    groups: int
    macs: int

    @property
    def ties(self) -> bool:
        """Whether the layer writes the very units that it reads."""
        return self.reads is None or self.groups > 1


@dataclass(frozen=True, slots=True)
class ChannelGraph:
    """The units of a network.

    Attributes:
        layers: Every layer with weights, by name, in the order of the network.
        count: How many units there are, numbered from 0.
        fixed: Why a unit cannot be removed, for those that cannot.
    """

    layers: dict[str, LayerChannels]
    count: int
    fixed: dict[int, str]


def channel_graph(model: tf_keras.Model) -> ChannelGraph:
    """Walk a functional tf-keras network whose layers are each applied once.

    A layer of a kind that is not known here fixes all that it reads and writes: the network can
    then still be pruned elsewhere.
    """
    walk = _Walk()
    for layer in model.layers:
        walk.visit(layer)
    for output in model.outputs:
        walk.fix(walk.tensors[id(output)], "it is the network's output")
    return walk.finished()


class _Walk:
    """Units under construction: a union-find over all channels."""

    def __init__(self) -> None:
        self.parents: list[int] = []
        self.tensors: dict[int, Units] = {}
        self.layers: dict[str, LayerChannels] = {}
        self.fixed: dict[int, str] = {}

    def visit(self, layer: Layer) -> None:
        inputs = [self.tensors[id(tensor)] for tensor in _inputs(layer)]
        self.tensors[id(layer.output)] = self._through(layer, inputs)

    def fix(self, units: Units, why: str) -> None:
        for unit in units:
            self.fixed.setdefault(int(unit), why)

    def finished(self) -> ChannelGraph:
        """Number the units without gaps, by the first channel of each."""
        roots = np.array([self._root(unit) for unit in range(len(self.parents))], np.int64)
        _, numbers = np.unique(roots, return_inverse=True)
        numbers = numbers.astype(np.int64)
        layers = {
            name: LayerChannels(
                None if one.reads is None else numbers[one.reads],
                numbers[one.writes],
                one.groups,
                one.macs,
            )
            for name, one in self.layers.items()
        }
        fixed = {int(numbers[unit]): why for unit, why in self.fixed.items()}
        return ChannelGraph(layers, int(numbers.max()) + 1, fixed)

    def _through(self, layer: Layer, inputs: list[Units]) -> Units:
        channels = int(layer.output.shape[-1])
        if isinstance(layer, _L.InputLayer):
            made = self._fresh(channels)
            self.fix(made, "it is the network's input")
            return made
        for way in (self._computed, self._joined, self._passed):
            units = way(layer, inputs, channels)
            if units is not None:
                return units
        return self._unknown(layer, inputs, channels)

    def _computed(self, layer: Layer, inputs: list[Units], channels: int) -> Units | None:
        """Layers with a kernel."""
        if isinstance(layer, _L.Conv2D) and not isinstance(layer, _L.Conv2DTranspose):
            return self._convolved(layer, inputs[0], channels)
        if isinstance(layer, _L.Dense) and len(layer.output.shape) == 2:
            return self._kernel(layer, inputs[0], self._fresh(channels), groups=1, macs=1)
        if isinstance(layer, _L.DepthwiseConv2D) and layer.depth_multiplier == 1:
            return self._kernel(layer, None, inputs[0], groups=1, macs=_macs(layer))
        return None

    def _joined(self, layer: Layer, inputs: list[Units], _channels: int) -> Units | None:
        """Layers that make one tensor of several."""
        if isinstance(layer, _L.Concatenate) and layer.axis in (-1, len(layer.output.shape) - 1):
            return np.concatenate(inputs)
        if isinstance(layer, (_L.Add, _L.Multiply)) and len({len(i) for i in inputs}) == 1:
            for other in inputs[1:]:
                self._unite(inputs[0], other)
            return inputs[0]
        return None

    def _passed(self, layer: Layer, inputs: list[Units], channels: int) -> Units | None:
        """Layers that work on each channel by itself."""
        if isinstance(layer, _L.Flatten) and layer.data_format == "channels_last":
            return np.tile(inputs[0], channels // len(inputs[0]))
        if isinstance(layer, _PASSES) and _keeps_channels_apart(layer):
            if layer.weights:
                self._kernel(layer, None, inputs[0], groups=1, macs=0)
            return inputs[0]
        return None

    def _convolved(self, layer: Layer, reads: Units, channels: int) -> Units:
        groups: int = layer.groups  # type: ignore[attr-defined]  # of a convolution
        writes = self._fresh(channels)
        if groups > 1:
            for group in zip(np.split(reads, groups), np.split(writes, groups), strict=True):
                tied = np.concatenate(group)
                self._unite(tied[:-1], tied[1:])
        return self._kernel(layer, reads, writes, groups=groups, macs=_macs(layer))

    def _kernel(
        self, layer: Layer, reads: Units | None, writes: Units, *, groups: int, macs: int
    ) -> Units:
        self.layers[layer.name] = LayerChannels(reads, writes, groups, macs)
        return writes

    def _unknown(self, layer: Layer, inputs: Sequence[Units], channels: int) -> Units:
        why = f"pruning does not know the layer '{layer.name}' ({type(layer).__name__})"
        made = self._fresh(channels)
        for units in (*inputs, made):
            self.fix(units, why)
        return made

    def _fresh(self, count: int) -> Units:
        start = len(self.parents)
        self.parents.extend(range(start, start + count))
        return np.arange(start, start + count)

    def _unite(self, some: Units, others: Units) -> None:
        for one, other in zip(some, others, strict=True):
            first, second = sorted((self._root(int(one)), self._root(int(other))))
            self.parents[second] = first

    def _root(self, unit: int) -> int:
        while self.parents[unit] != unit:
            self.parents[unit] = self.parents[self.parents[unit]]
            unit = self.parents[unit]
        return unit


def _inputs(layer: Layer) -> list[object]:
    if isinstance(layer, _L.InputLayer):
        return []
    given = layer.input  # type: ignore[attr-defined]  # of a layer that was applied once
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _keeps_channels_apart(layer: Layer) -> bool:
    if isinstance(layer, _L.BatchNormalization):
        return list(layer.axis) == [len(layer.output.shape) - 1]
    name = getattr(getattr(layer, "activation", None), "__name__", "")
    return name not in _MIXES


def _macs(layer: Layer) -> int:
    """Of a convolution's kernel for one input and one output channel, at all places."""
    sides: tuple[int, int] = layer.kernel_size  # type: ignore[attr-defined]
    return math.prod(sides) * math.prod(layer.output.shape[1:-1])
