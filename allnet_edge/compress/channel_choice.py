"""Which channels go, so that a network fits a budget of multiply-accumulates."""

import math
from dataclasses import dataclass

import numpy as np

from allnet_edge.compress.channel_graph import ChannelGraph, LayerChannels, Units
from allnet_edge.compress.channel_groups import ChannelGroup, Kept, channel_groups, macs_of_kept
from allnet_edge.compress.importance import Importance
from allnet_edge.errors import RecipeError

# From so many channels of a group on, which multiple is kept; 2:4 sparsity needs one of 4.
_MULTIPLES = ((32, 8), (8, 4), (4, 2), (0, 1))
_LEAST = 0.1  # of a group's channels, so that no layer is cut off


@dataclass(frozen=True, slots=True)
class Choice:
    """What is kept.

    Attributes:
        kept: bool [units].
        macs: Multiply-accumulates of one image before and after.
        left: Layers whose output channels all stay because they have to, and why.
    """

    kept: Kept
    macs: tuple[int, int]
    left: dict[str, str]


def choose_channels(
    graph: ChannelGraph, importance: Importance, budget: int, *, unpruned: int | None = None
) -> Choice:
    """Remove the units that matter least for the multiply-accumulates that they save.

    Greedy: block by block, the one with the least importance for each multiply-accumulate that
    removing it saves from what is left, until the budget is met. A block brings its group to the
    next multiple of 8 channels (of 4, 2 or 1 where the group has fewer than 32, 8 or 4), since
    runtimes compute eight at a time anyway. At least a tenth of each group stays.

    Args:
        importance: float64 [units]; a group with a NaN is left whole.
        budget: Multiply-accumulates of one image that may be left.
        unpruned: Those of the network before any step, of which a refusal tells shares; None for
            those of ``graph``.

    Raises:
        RecipeError: The budget cannot be met; it names the closest.
    """
    groups, left = channel_groups(graph)
    silent = {
        g.name: "it has no batch norm with a scale" for g in groups if _unknown(g, importance)
    }
    cut = _Cut(graph, [g for g in groups if g.name not in silent], importance)
    before = macs_of_kept(graph, cut.kept)
    macs, of = before, unpruned or before
    while macs > budget:
        saved = cut.remove_next(macs - budget)
        if saved is None:
            raise RecipeError(
                f"{budget / of:.1%} of the multiply-accumulates cannot be kept: "
                f"the fewest that pruning can leave are {macs / of:.1%}",
                where="prune",
                fix=f"keep at least {math.ceil(1000 * macs / of) / 1000:g} of them",
            )
        macs -= saved
    return Choice(cut.kept, (before, macs_of_kept(graph, cut.kept)), {**left, **silent})


def _unknown(group: ChannelGroup, importance: Importance) -> bool:
    return bool(np.isnan(importance[group.units]).any())


@dataclass(slots=True)
class _Waiting:
    """A group's units from the least important on, and how far it may go.

    Attributes:
        blocks: Units of each removal that is still possible.
    """

    group: ChannelGroup
    blocks: list[Units]


class _Cut:
    """The state of a greedy selection."""

    def __init__(
        self, graph: ChannelGraph, groups: list[ChannelGroup], importance: Importance
    ) -> None:
        self.graph, self.importance = graph, importance
        self.kept: Kept = np.ones(graph.count, bool)
        self.inputs = {n: 0 if c.reads is None else len(c.reads) for n, c in graph.layers.items()}
        self.outputs = {name: len(one.writes) for name, one in graph.layers.items()}
        self.waiting = [_Waiting(group, _blocks(group, importance)) for group in groups]
        self.touching: dict[str, list[int]] = {name: [] for name in graph.layers}
        for number, group in enumerate(groups):
            for name in {*group.reads, *group.writes}:
                self.touching[name].append(number)
        self.prices = [self._price(number) for number in range(len(groups))]

    def remove_next(self, excess: int) -> int | None:
        """Remove the cheapest block; how much that saves, None where nothing may go any more.

        Args:
            excess: How much is to be saved. Where the cheapest block would end it, the one that
                ends it with the least importance is taken instead.
        """
        number = min(range(len(self.prices)), key=self.prices.__getitem__, default=None)
        if number is None or math.isinf(self.prices[number]):
            return None
        if self._saved(number) >= excess:
            ends = [n for n, one in enumerate(self.waiting) if one.blocks]
            ends = [n for n in ends if self._saved(n) >= excess]
            number = min(ends, key=self._lost)
        one = self.waiting[number]
        saved = self._saved(number)
        units = one.blocks.pop(0)
        self.kept[units] = False
        for counts, times in ((self.inputs, one.group.reads), (self.outputs, one.group.writes)):
            for name, each in times.items():
                counts[name] -= each * len(units)
        near = {n for name in {*one.group.reads, *one.group.writes} for n in self.touching[name]}
        for other in near:
            self.prices[other] = self._price(other)
        return saved

    def _price(self, number: int) -> float:
        """Importance for each multiply-accumulate saved."""
        if not self.waiting[number].blocks:
            return math.inf
        return self._lost(number) / max(1, self._saved(number))

    def _lost(self, number: int) -> float:
        """Importance of the next block."""
        return float(self.importance[self.waiting[number].blocks[0]].sum())

    def _saved(self, number: int) -> int:
        one = self.waiting[number]
        count = len(one.blocks[0])
        saved = 0
        for name in {*one.group.reads, *one.group.writes}:
            layer = self.graph.layers[name]
            inputs, outputs = self.inputs[name], self.outputs[name]
            saved += _macs(layer, inputs, outputs) - _macs(
                layer,
                inputs - count * one.group.reads.get(name, 0),
                outputs - count * one.group.writes.get(name, 0),
            )
        return saved


def _macs(layer: LayerChannels, inputs: int, outputs: int) -> int:
    if layer.reads is None:
        return layer.macs * outputs
    if layer.groups > 1:
        return layer.macs * (len(layer.reads) // layer.groups) * outputs
    return layer.macs * inputs * outputs


def _blocks(group: ChannelGroup, importance: Importance) -> list[Units]:
    """The least important units first, in blocks that end at a multiple."""
    count = len(group.units)
    channels = count * group.width
    multiple = next(multiple for least, multiple in _MULTIPLES if channels >= least)
    step = max(1, multiple // group.width)
    least = max(step, math.ceil(math.ceil(_LEAST * count) / step) * step)
    order = group.units[np.argsort(importance[group.units], kind="stable")]
    ends = [count - kept for kept in range((count - 1) // step * step, least - 1, -step)]
    return [order[start:end] for start, end in zip([0, *ends], ends, strict=False)]
