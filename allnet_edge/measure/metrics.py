"""What a binary classifier got right: counts, the rates made of them, and the ROC.

Everywhere: ``labels`` is bool, shape ``(n,)``, True for the positive class (leukemic); ``scores``
is float, shape ``(n,)``, the probability of the positive class; a cell is called positive when its
score is AT LEAST the threshold.
"""

import math
from dataclasses import asdict, dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from allnet_edge.errors import DataError

BoolArray: TypeAlias = npt.NDArray[np.bool_]
FloatArray: TypeAlias = npt.NDArray[np.float64] | npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Confusion:
    """The four counts of a binary decision, and the rates made of them.

    A rate whose denominator is zero (no positive cell, say) is NaN: undefined, not zero.

    Attributes:
        tp: Positive cells called positive.
        fn: Positive cells called negative: the dangerous error.
        tn: Negative cells called negative.
        fp: Negative cells called positive.
    """

    tp: int
    fn: int
    tn: int
    fp: int

    @property
    def n(self) -> int:
        """All cells."""
        return self.tp + self.fn + self.tn + self.fp

    @property
    def accuracy(self) -> float:
        """(tp + tn) / n."""
        return _rate(self.tp + self.tn, self.n)

    @property
    def sensitivity(self) -> float:
        """Recall of the positive class, tp / (tp + fn)."""
        return _rate(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Recall of the negative class, tn / (tn + fp)."""
        return _rate(self.tn, self.tn + self.fp)

    @property
    def balanced_accuracy(self) -> float:
        """(sensitivity + specificity) / 2."""
        return (self.sensitivity + self.specificity) / 2

    @property
    def ppv(self) -> float:
        """Precision of the positive class at the prevalence of these cells."""
        return _rate(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> float:
        """Precision of the negative class at the prevalence of these cells."""
        return _rate(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> float:
        """F1 of the positive class, 2 tp / (2 tp + fp + fn)."""
        return _rate(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def weighted_f1(self) -> float:
        """F1 of both classes, weighted by their numbers of cells (the C-NMC challenge's score)."""
        positive, negative = self.tp + self.fn, self.tn + self.fp
        f1_negative = _rate(2 * self.tn, 2 * self.tn + self.fp + self.fn)
        parts = [(positive, self.f1), (negative, f1_negative)]
        return _rate(sum(count * f1 for count, f1 in parts if count), self.n)

    def to_json(self) -> dict[str, float | int | None]:
        """The counts and every rate; an undefined rate is null."""
        rates = {name: getattr(self, name) for name in _RATES}
        return asdict(self) | {k: None if math.isnan(v) else v for k, v in rates.items()}


_RATES = (
    "accuracy",
    "sensitivity",
    "specificity",
    "balanced_accuracy",
    "ppv",
    "npv",
    "f1",
    "weighted_f1",
)


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Points of an ROC curve, from (0, 0) to (1, 1).

    Attributes:
        fpr: False positive rate (1 - specificity), ascending, float64 ``(k,)``.
        tpr: True positive rate (sensitivity), ascending, float64 ``(k,)``.
        thresholds: Descending, float64 ``(k,)``, finite; the first lies just above every score.
    """

    fpr: npt.NDArray[np.float64]
    tpr: npt.NDArray[np.float64]
    thresholds: npt.NDArray[np.float64]


def finite(scores: FloatArray, name: str = "scores") -> npt.NDArray[np.float64]:
    """The scores as float64 ``(n,)``; a trailing axis of length 1 is dropped.

    Raises:
        DataError: Not one score a cell, or NaN or infinite scores (how many, and the first).
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(f"{name} have shape {values.shape}; one score a cell is needed")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(
            f"{bad.size} of {values.size} {name} are NaN or infinite (first: cell {bad[0]})",
            fix="look for an overflow (fp16) or an uncalibrated layer (int8) in the network",
        )
    return values


def confusion(labels: BoolArray, scores: FloatArray, threshold: float) -> Confusion:
    """Count the decisions ``score >= threshold``.

    Raises:
        DataError: Scores that are not finite, or not as many as labels.
    """
    truth, values = _pair(labels, scores)
    called = values >= threshold
    tp, fp = int((truth & called).sum()), int((~truth & called).sum())
    return Confusion(tp=tp, fn=int(truth.sum()) - tp, tn=int((~truth).sum()) - fp, fp=fp)


def roc_auc(labels: BoolArray, scores: FloatArray) -> float:
    """Area under the ROC curve: P(positive scores above negative) + P(tie) / 2, 0..1.

    The Mann-Whitney statistic over the number of pairs (Hanley & McNeil 1982).

    Raises:
        DataError: One class only, scores that are not finite, or not as many as labels.
    """
    truth, values = _pair(labels, scores, both=True)
    positives = int(truth.sum())
    negatives = truth.size - positives
    u = float(midranks(values)[truth].sum()) - positives * (positives + 1) / 2
    return u / (positives * negatives)


def roc_curve(labels: BoolArray, scores: FloatArray, points: int = 200) -> RocCurve:
    """The ROC curve, thinned to at most ``points`` for a report.

    Both ends stay; between them, points that lie on a straight line go first (the curve is
    unchanged), then what is left is thinned evenly.

    Raises:
        DataError: One class only, scores that are not finite, or not as many as labels.
    """
    truth, values = _pair(labels, scores, both=True)
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))
    tp = np.concatenate(([0], np.cumsum(truth[order])[ends]))
    fp = np.concatenate(([0], np.cumsum(~truth[order])[ends]))
    above_all = np.nextafter(values.max(), np.inf)
    thresholds = np.concatenate(([above_all], values[order][ends]))
    keep = _thin(_corners(fp, tp), points)
    return RocCurve(fp[keep] / fp[-1], tp[keep] / tp[-1], thresholds[keep])


def midranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 1, ties sharing the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return mean_rank


def _pair(
    labels: BoolArray, scores: FloatArray, *, both: bool = False
) -> tuple[BoolArray, npt.NDArray[np.float64]]:
    truth, values = np.asarray(labels, dtype=np.bool_).reshape(-1), finite(scores)
    if truth.size != values.size:
        raise DataError(f"{values.size} scores for {truth.size} cells")
    if both and (truth.all() or not truth.any()):
        raise DataError(
            "an ROC curve needs cells of both classes", fix="add cells of the other one"
        )
    return truth, values


def _corners(fp: npt.NDArray[np.int64], tp: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Indices of the points at which the curve turns, with both ends."""
    turn = np.diff(fp[:-1]) * np.diff(tp[1:]) != np.diff(tp[:-1]) * np.diff(fp[1:])
    return np.flatnonzero(np.concatenate(([True], turn, [True])))


def _thin(indices: npt.NDArray[np.intp], points: int) -> npt.NDArray[np.intp]:
    if indices.size <= points:
        return indices
    chosen = np.linspace(0, indices.size - 1, max(points, 2)).round().astype(np.intp)
    return np.asarray(indices[chosen])


def _rate(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
