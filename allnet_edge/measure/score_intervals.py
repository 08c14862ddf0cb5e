"""Score intervals of every figure: those that do not depend on a draw."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from allnet_edge.measure.clusters import (
    auc_clustered,
    mean_clustered,
    pr_auc_clustered,
    wilson_clustered,
)
from allnet_edge.measure.combined import (
    f1_of_share,
    predictive_value,
    square_and_add,
    together,
)
from allnet_edge.measure.intervals import Interval, auc_score, delong, normal_quantile, wilson
from allnet_edge.measure.metrics import BoolArray, roc_auc
from allnet_edge.measure.ranking import precisions_at_positives
from allnet_edge.measure.reliability import largest_brier, squared_errors
from allnet_edge.measure.resampling import AVERAGED, Statistics
from allnet_edge.measure.scored import Ints, Scored, Side

TAIL = 0.975  # of each side

_WILSON = "Wilson"
_F1 = "Wilson of tp / (tp + fp + fn)"
_BAYES = "Bayes with the ratio interval (Donner & Zou) of Wilson's"
_ADDED = "squares of Wilson's added (Zou & Donner)"


@dataclass(frozen=True, slots=True)
class Score:
    """The score interval of one figure.

    Attributes:
        n: Cells that it is a figure of.
        method: In a few words.
        closed: It can stand alone where patients are unknown; else the bootstrap stands beside it.
        clustered: How patients enter it where they are known.
    """

    interval: Interval
    n: int
    method: str
    closed: bool = True
    clustered: str = "at the effective number of cells"


Scores = Mapping[str, Score]


def score_intervals(
    scored: Scored, values: Statistics, owner: Ints | None, prevalence: float | None
) -> tuple[Scores, tuple[Scores, ...]]:
    """Of the network and, for more than two classes, of each class.

    Args:
        scored: The cells.
        values: The figures themselves, arrays of length 1.
        owner: Number of each cell's patient, or None where unknown.
        prevalence: At which predictive values are asked for, too.
    """
    cells = _Cells(owner)
    everything = {
        "accuracy": cells.share(scored.right, np.ones(len(scored), bool)),
        "brier": _brier(scored, owner),
        "ece": Score(Interval(0.0, 1.0), len(scored), "none of its own", closed=False),
    }
    if scored.binary:
        return everything | _binary(scored, cells, values, prevalence), ()
    sides = [_side(scored.side(k), cells) for k in range(scored.classes)]
    return everything | _averages(scored, sides, values), tuple(sides)


class _Cells:
    """Score intervals with or without patients."""

    def __init__(self, owner: Ints | None) -> None:
        self.owner = owner

    def share(self, hits: BoolArray, group: BoolArray) -> Score:
        """Of the cells of ``group`` those that are ``hits``, too."""
        inside = hits & group
        n = int(group.sum())
        if self.owner is None:
            return Score(wilson(int(inside.sum()), n, TAIL), n, _WILSON)
        patients = int(self.owner.max()) + 1
        successes, cells = (np.bincount(self.owner[c], minlength=patients) for c in (inside, group))
        return Score(wilson_clustered(successes, cells, TAIL), n, _WILSON)

    def roc_auc(self, side: Side) -> Score:
        """Known patients: Newcombe's at the effective number of cells. Else the wider of it and
        DeLong's.
        """
        if self.owner is not None:
            found = auc_clustered(side.truth, side.scores, self.owner, TAIL)
            return Score(found, side.truth.size, "Newcombe")
        positives = int(side.truth.sum())
        area, variance = delong(side.truth, side.scores)
        half = normal_quantile(TAIL) * float(np.sqrt(variance))
        wide = Interval(max(0.0, area - half), min(1.0, area + half))
        score = auc_score(
            roc_auc(side.truth, side.scores), positives, side.truth.size - positives, TAIL
        )
        return Score(wide.hull(score), side.truth.size, "the wider of DeLong and Newcombe")

    def pr_auc(self, side: Side) -> Score:
        """Wilson's with the positive cells as trials."""
        method = "Wilson with the positive cells as trials (Boyd)"
        n = side.truth.size
        if self.owner is not None:
            return Score(pr_auc_clustered(side, self.owner, TAIL), n, method, closed=False)
        values = precisions_at_positives(side)
        return Score(wilson(float(values.sum()), values.size, TAIL), n, method, closed=False)


def _brier(scored: Scored, owner: Ints | None) -> Score:
    each = np.arange(len(scored)) if owner is None else owner
    found = mean_clustered(squared_errors(scored), each, largest_brier(scored), TAIL)
    clustered = "with the spread between patients"
    return Score(found, len(scored), "Student's of the mean", clustered=clustered)


def _side(side: Side, cells: _Cells) -> dict[str, Score]:
    """One class against the rest."""
    either = cells.share(side.truth & side.called, side.truth | side.called)
    return {
        "sensitivity": cells.share(side.called, side.truth),
        "specificity": cells.share(~side.called, ~side.truth),
        "ppv": cells.share(side.truth, side.called),
        "npv": cells.share(~side.truth, ~side.called),
        "f1": Score(f1_of_share(either.interval), either.n, _F1),
        "roc_auc": cells.roc_auc(side),
        "pr_auc": cells.pr_auc(side),
    }


def _binary(
    scored: Scored, cells: _Cells, values: Statistics, prevalence: float | None
) -> dict[str, Score]:
    found = _side(scored.side(1), cells)
    n = len(scored)
    sensitivity, specificity = (values.overall[name][0] for name in ("sensitivity", "specificity"))
    both = [found["sensitivity"].interval, found["specificity"].interval]
    found["balanced_accuracy"] = Score(
        square_and_add([sensitivity, specificity], both, [0.5, 0.5]), n, _ADDED
    )
    other = scored.side(0)
    turned = cells.share(other.truth & other.called, other.truth | other.called)
    positive = float(np.mean(scored.labels))
    # An error takes from both F1 at once, so that the two rise and fall together.
    found["weighted_f1"] = Score(
        together([found["f1"].interval, f1_of_share(turned.interval)], [positive, 1 - positive]),
        n,
        f"the mean of both classes' {_F1}",
        closed=False,
    )
    if prevalence is not None:
        found["ppv_at_prevalence"] = Score(
            predictive_value(prevalence, sensitivity, both[0], specificity, both[1]), n, _BAYES
        )
        found["npv_at_prevalence"] = Score(
            predictive_value(1 - prevalence, specificity, both[1], sensitivity, both[0]), n, _BAYES
        )
    return found


def _averages(
    scored: Scored, sides: Sequence[Mapping[str, Score]], values: Statistics
) -> dict[str, Score]:
    """Macro and weighted means of the classes, as if these were independent of each other."""
    n = len(scored)
    equal = np.full(scored.classes, 1 / scored.classes)
    by_cells = np.bincount(scored.labels, minlength=scored.classes) / n
    found: dict[str, Score] = {}

    def mean(name: str, weights: Callable[[], Sequence[float]]) -> Score:
        own = [float(figures[name][0]) for figures in values.per_class]
        intervals = [side[name].interval for side in sides]
        what = f"squares of the classes' intervals added (Zou & Donner; {sides[0][name].method})"
        return Score(square_and_add(own, intervals, weights()), n, what, closed=False)

    for name in AVERAGED:
        macro = "balanced_accuracy" if name == "sensitivity" else f"macro_{name}"
        found[macro] = mean(name, equal.tolist)
        if name != "sensitivity":
            found[f"weighted_{name}"] = mean(name, by_cells.tolist)
    return found
