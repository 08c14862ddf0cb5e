"""How well scores put one class above the rest: areas under the ROC and the precision-recall curve.

Both are computed for many resamples of the patients at once: the cells are sorted one time, a
resample only changes how often each of them counts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.metrics import BoolArray, FloatArray, finite
from allnet_edge.measure.scored import Floats, Ints, Side

_BLOCK = 150_000  # weights of a block: with their running sums they stay in a core's cache


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Points of a precision-recall curve, from the highest threshold down.

    Attributes:
        recall: Ascending from 0 to 1, float64 ``(k,)``.
        precision: float64 ``(k,)``; the first is 1 by convention.
    """

    recall: Floats
    precision: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Cells sorted by descending score.

    Attributes:
        order: Which cell stands at each place, int64 ``(n,)``.
        truth: Whether the cell at each place is of the class, float64 ``(n,)``, 0 or 1.
        ends: Last place of each group of equal scores, int64 ``(groups,)``.
    """

    order: Ints
    truth: Floats
    ends: Ints

    @classmethod
    def of(cls, side: Side) -> "Ranking":
        """Sort."""
        order = np.argsort(-side.scores, kind="stable")
        ends = np.flatnonzero(np.append(np.diff(side.scores[order]) != 0, True))
        return cls(order, side.truth[order].astype(np.float64), ends)

    def areas(self, weights: npt.NDArray[np.number], owner: Ints) -> tuple[Floats, Floats]:
        """ROC area and average precision of each resample.

        Args:
            weights: How often each patient counts, ``(resamples, patients)``.
            owner: Number of each cell's patient, int64 ``(n,)``.

        Returns:
            Two arrays float64 ``(resamples,)``; NaN where a resample lacks the cells for it.
        """
        columns, rows = owner[self.order], max(1, _BLOCK // self.order.size)
        blocks = [
            self._areas(np.take(weights[at : at + rows], columns, axis=1).astype(np.float64))
            for at in range(0, len(weights), rows)
        ]
        return (
            np.concatenate([roc for roc, _ in blocks]),
            np.concatenate([precision for _, precision in blocks]),
        )

    def _areas(self, table: Floats) -> tuple[Floats, Floats]:
        """Of cells that count ``table`` times, float64 ``(rows, n)``."""
        found = np.cumsum(table * self.truth, axis=1)
        called = np.cumsum(table, axis=1)
        if self.ends.size < self.order.size:
            found, called = found[:, self.ends], called[:, self.ends]
        step = np.diff(found, axis=1, prepend=0.0)
        false_step = np.diff(called, axis=1, prepend=0.0) - step
        positives = found[:, -1]
        negatives = called[:, -1] - positives
        # A threshold that no cell of the resample lies at adds nothing: its step is 0.
        precision = (step * (found / np.maximum(called, 1))).sum(axis=1)
        wins = (false_step * (found - step / 2)).sum(axis=1)
        return _share(wins, positives * negatives), _share(precision, positives)


def average_precision(labels: BoolArray, scores: FloatArray) -> float:
    """Area under the precision-recall curve as scikit-learn's average precision has it.

    The sum over thresholds of the gain in recall times the precision there: no interpolation,
    which would be too good (Davis & Goadrich 2006).

    Args:
        labels: bool ``(n,)``.
        scores: float ``(n,)``, finite; cells of equal score share one threshold.

    Returns:
        0..1; NaN without a cell of the class.
    """
    values = finite(scores)
    side = Side(np.asarray(labels, np.bool_), values > np.inf, values)
    return float(Ranking.of(side).areas(np.ones((1, 1)), np.zeros(values.size, np.int64))[1][0])


def precision_recall_curve(side: Side, points: int = 400) -> PrecisionRecall:
    """The curve, thinned evenly to about ``points``; it is drawn in steps."""
    ranking = Ranking.of(side)
    found = np.cumsum(ranking.truth)[ranking.ends]
    precision, recall = found / (ranking.ends + 1.0), found / found[-1]
    keep = np.arange(recall.size)
    if recall.size > points:
        keep = np.unique(np.linspace(0, recall.size - 1, points).round().astype(np.int64))
    return PrecisionRecall(
        np.concatenate(([0.0], recall[keep])), np.concatenate(([1.0], precision[keep]))
    )


def precisions_at_positives(side: Side) -> Floats:
    """For each cell of the class the precision at its own score; their mean is the average one.

    Returns:
        float64, in the order of the cells.
    """
    ranking = Ranking.of(side)
    group = np.searchsorted(ranking.ends, np.arange(ranking.order.size))
    ends = ranking.ends[group]
    at_place = np.cumsum(ranking.truth)[ends] / (ends + 1.0)
    precision = np.empty(ranking.order.size)
    precision[ranking.order] = at_place
    return precision[side.truth]


def _share(part: Floats, whole: Floats) -> Floats:
    """Unknown (NaN) where there is nothing to divide by: 0 would be a verdict."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
