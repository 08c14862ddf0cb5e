"""What quantizing one group of layers costs, all others left float.

The sensitivity analysis of Wu et al. 2020 (arXiv 2004.09602), by groups instead of single layers.
Each group adds its own noise to the logits, but noises only roughly add up: the search that uses
these figures judges every combination that it relies on.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from allnet_edge.engines.opening import open_file
from allnet_edge.progress import Progress, silent
from allnet_edge.search.groups import Group
from allnet_edge.search.selection import Cost, Probabilities, Selection
from allnet_edge.spec.base import Frozen

Quantize = Callable[[frozenset[str]], Path]
"""Writes a form with these layers in higher precision, all others int8; returns its file."""


class Sensitivity(Frozen):
    """The cost of one group.

    Attributes:
        layers: How many convolutions and dense layers.
        macs: Multiply-accumulates of one image.
        cost: Of quantizing only this group.
    """

    group: str
    layers: int
    macs: int
    cost: Cost


def measure(
    groups: Sequence[Group],
    quantize: Quantize,
    selection: Selection,
    *,
    threads: int | None = None,
    progress: Progress = silent,
) -> tuple[Sensitivity, ...]:
    """The cost of each group, from ranges that were observed once.

    Args:
        groups: That together hold every layer which can be quantized.
    """
    everything = frozenset[str]().union(*(group.names for group in groups))
    rows = []
    for done, group in enumerate(groups, start=1):
        path = quantize(everything - group.names)
        cost = selection.cost(answers_of(path, selection, threads))
        rows.append(
            Sensitivity(group=group.name, layers=len(group.layers), macs=group.macs, cost=cost)
        )
        progress("cost of quantizing one group", done, len(groups))
    return tuple(rows)


def answers_of(path: Path, selection: Selection, threads: int | None) -> Probabilities:
    """Probabilities of a model file on the selection cells, float32 [n]."""
    with open_file(path, threads) as runner:
        return selection.answers(runner.infer)
