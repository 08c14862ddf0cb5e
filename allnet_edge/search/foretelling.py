"""What the gate is going to see of a form, foretold from how far its logits stray.

A search tries dozens of forms on the same few cells. Counting changed decisions there finds the
form that was lucky: of 165 cells one may change with noise of any size. How far logits stray, every
cell tells. A cell whose float logit lies m from the threshold is decided otherwise with probability
Phi(-|m| / s) where the errors are normal with standard deviation s; the mean of that over a class
is the share of its cells that the gate is going to see changed.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.agreement import logits
from allnet_edge.measure.cells import Scores
from allnet_edge.measure.intervals import tango
from allnet_edge.measure.metrics import BoolArray
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.gate import GateSpec

_Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ahead:
    """How many cells of each class the gate has; all that a search may know of them."""

    positives: int
    negatives: int


class Foretold(Frozen):
    """One rate of a form at the gate.

    Attributes:
        n: Cells of its class there.
        losses: Of them, how many the form is going to get wrong that the float network gets right.
        gains: The other way round.
        lower: The bound that the gate would give to such counts, cells taken as independent.
        margin: That it asks for.
        decidable: Whether the float network itself would pass on so few cells.
    """

    metric: Literal["sensitivity", "specificity"]
    n: int
    losses: float
    gains: float
    lower: float
    margin: float
    decidable: bool

    @property
    def delta(self) -> float:
        """The expected difference, -1..1."""
        return (self.gains - self.losses) / self.n

    def told(self) -> str:
        """In a few words."""
        change = f"{self.delta * 100:+.1f} points (bound {self.lower * 100:+.1f})"
        return f"{self.metric} {change} foretold for the gate's {self.n} cells"


def foretell(
    labels: BoolArray, before: Scores, after: Scores, ahead: Ahead, spec: GateSpec
) -> tuple[Foretold, Foretold]:
    """Sensitivity and specificity at the gate.

    The spread of the errors is taken from the nearer half of the cells: on the far ones errors are
    larger, as the logits are, and no decision hangs on them.

    Args:
        labels: Of the selection cells, bool [n].
        before: Of the float network, probabilities [n].
        after: Of the form, with its own threshold.
    """
    margins = _from_threshold(before)
    errors = _from_threshold(after) - margins
    near = np.abs(margins) <= np.median(np.abs(margins))
    spread = float(np.sqrt(np.square(errors[near]).mean()))
    changed = _beyond(np.abs(margins), spread)
    right = before.decisions == labels
    return (
        _rate("sensitivity", changed[labels], right[labels], ahead.positives, spec),
        _rate("specificity", changed[~labels], right[~labels], ahead.negatives, spec),
    )


def _rate(
    metric: Literal["sensitivity", "specificity"],
    changed: _Values,
    right: BoolArray,
    n: int,
    spec: GateSpec,
) -> Foretold:
    margin = spec.sensitivity if metric == "sensitivity" else spec.specificity
    losses, gains = (n * float((changed * side).mean()) for side in (right, ~right))
    return Foretold(
        metric=metric,
        n=n,
        losses=losses,
        gains=gains,
        lower=tango(gains, losses, n, spec.confidence).lower,
        margin=margin,
        decidable=tango(0, 0, n, spec.confidence).lower >= -margin,
    )


def _from_threshold(scores: Scores) -> _Values:
    at = logits(np.array([scores.threshold]))
    return np.asarray(logits(scores.scores).reshape(-1) - at, np.float64)


def _beyond(distances: _Values, spread: float) -> _Values:
    """Chance that a normal error with this standard deviation reaches so far to one side."""
    if not spread:
        return np.zeros_like(distances)
    return np.asarray([math.erfc(one / (spread * math.sqrt(2))) / 2 for one in distances])
