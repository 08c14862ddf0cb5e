"""Which layers need more than int8: the fewest multiply-accumulates that make a form acceptable.

Groups are ranked by the noise that quantizing them adds, for each multiply-accumulate that int8
would save. Of that ranking the shortest acceptable beginning is found by bisection, and then each
group of it, the largest first, is tried in int8 again: noise does not add up exactly, so some were
given back for nothing.
"""

from collections.abc import Callable, Mapping, Sequence

from allnet_edge.errors import GateFailed
from allnet_edge.progress import Progress, silent
from allnet_edge.search.groups import Group
from allnet_edge.search.selection import Judgement
from allnet_edge.spec.base import Frozen

Try = Callable[[frozenset[str]], Judgement]
"""Judges the form with these layers in higher precision."""


class Step(Frozen):
    """One form that was tried.

    Attributes:
        kept: Groups in higher precision.
        macs_share: Share of the multiply-accumulates of all groups that is not int8.
    """

    kept: tuple[str, ...]
    macs_share: float
    judgement: Judgement


class Found(Frozen):
    """The outcome of a search.

    Attributes:
        kept: Groups in higher precision; empty where int8 alone is acceptable.
        layers: Of these groups, sorted.
        macs_share: Share of the multiply-accumulates that is not int8.
        steps: Every form that was tried, in order.
    """

    kept: tuple[str, ...]
    layers: tuple[str, ...]
    macs_share: float
    steps: tuple[Step, ...]


class _Search:
    def __init__(self, groups: Sequence[Group], attempt: Try, progress: Progress) -> None:
        self._groups = {group.name: group for group in groups}
        self._macs = sum(group.macs for group in groups)
        self._attempt, self._progress = attempt, progress
        self.steps: dict[frozenset[str], Step] = {}

    def acceptable(self, kept: frozenset[str]) -> bool:
        """Judge a form unless it was judged before."""
        if kept not in self.steps:
            judgement = self._attempt(self.layers(kept))
            share = self.share(kept)
            self.steps[kept] = Step(kept=tuple(sorted(kept)), macs_share=share, judgement=judgement)
            self._progress("forms tried", len(self.steps), 0)
        return self.steps[kept].judgement.acceptable

    def layers(self, kept: frozenset[str]) -> frozenset[str]:
        return frozenset[str]().union(*(self._groups[name].names for name in kept))

    def share(self, kept: frozenset[str]) -> float:
        return sum(self._groups[name].macs for name in kept) / self._macs


def find(
    groups: Sequence[Group],
    noise: Mapping[str, float],
    attempt: Try,
    progress: Progress = silent,
) -> Found:
    """Give higher precision back until the form is acceptable.

    Args:
        groups: That together hold every layer which can be quantized.
        noise: What quantizing only this group adds to the logits, relative to their power.
        attempt: Judges a form on the selection cells.

    Raises:
        GateFailed: Not even the form with every group in higher precision is acceptable.
    """
    search = _Search(groups, attempt, progress)
    ranked = sorted(groups, key=lambda g: (-noise[g.name] / max(g.macs, 1), g.name))
    beginnings = [frozenset(g.name for g in ranked[:count]) for count in range(len(ranked) + 1)]
    if not search.acceptable(beginnings[0]) and not search.acceptable(beginnings[-1]):
        why = search.steps[beginnings[-1]].judgement.why
        raise GateFailed(
            f"no mixture of precisions is acceptable: without any int8 layer: {why}",
            fix="the float form itself differs from the float network; see the export's agreement",
        )
    kept = _shortest(beginnings, search)
    for group in sorted(groups, key=lambda g: (-g.macs, g.name)):
        if group.name in kept and search.acceptable(kept - {group.name}):
            kept -= {group.name}
    return Found(
        kept=tuple(sorted(kept)),
        layers=tuple(sorted(search.layers(kept))),
        macs_share=search.share(kept),
        steps=tuple(search.steps.values()),
    )


def _shortest(beginnings: Sequence[frozenset[str]], search: _Search) -> frozenset[str]:
    """The shortest acceptable beginning, by bisection: the longest is known to be acceptable."""
    if search.acceptable(beginnings[0]):
        return beginnings[0]
    low, high = 0, len(beginnings) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if search.acceptable(beginnings[middle]):
            high = middle
        else:
            low = middle
    return beginnings[high]
