"""Decision thresholds, fitted on VALIDATION cells and on nothing else.

Fitting on the gate's cells would let the network look better there than anywhere else.
"""

import math

import numpy as np
import numpy.typing as npt

from allnet_edge.errors import DataError
from allnet_edge.measure.metrics import BoolArray, FloatArray, finite

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


def fit_threshold(labels: BoolArray, scores: FloatArray) -> float:
    """The threshold of best balanced accuracy, (sensitivity + specificity) / 2, on these cells.

    Every threshold between two neighbouring scores decides alike, so the search is over those gaps.
    Where several gaps are equally good the widest one wins (there the decision depends least on
    the last digit of a score), then the one whose midpoint is nearest to 0.5. The midpoint of the
    gap is returned: it leaves most room on both sides for the rounding of a compressed network.

    Args:
        labels: bool ``(n,)``, both classes.
        scores: float ``(n,)``, finite.

    Raises:
        DataError: One class only, scores that are not finite, or the same score for every cell.
    """
    values = finite(scores, "validation scores")
    truth = _flat(labels, values.size)
    if truth.all() or not truth.any():
        raise DataError(
            "a threshold cannot be fitted on cells of one class",
            fix="give the validation part cells of both classes",
        )
    low, high, below_positive, below_negative = _gaps(values, truth)
    if not low.size:
        raise DataError(
            f"the network gives every validation cell the same score ({values[0]:.6g})",
            fix="it has collapsed: train longer, or with a smaller learning rate",
        )
    positives, negatives = int(truth.sum()), int((~truth).sum())
    # Balanced accuracy times 2 * positives * negatives: whole numbers, so that ties are exact.
    quality = (positives - below_positive) * negatives + below_negative * positives
    middle, width = _middle(low, high), high - low
    best = np.lexsort((np.abs(middle - 0.5), -width, -quality))[0]
    return float(middle[best])


def transfer_threshold(
    float_scores: FloatArray, float_threshold: float, edge_scores: FloatArray
) -> float:
    """The threshold at which a compressed network calls as many cells positive as the float one.

    Compression may shift all scores a little; judging it at the float threshold would then charge
    it with a shift that one number undoes. Fitting afresh on the labels would be worse: it adds
    the noise of a second search to the comparison. So labels play no part here.

    Matching the count balances the changed decisions: as many cells turn positive as turn negative.
    The threshold of the FEWEST changes was tried first; where a few per cent of the decisions
    change, its minimum is flat, and it fell on thresholds that traded sensitivity for specificity.

    Where scores are tied and the count cannot be met: the nearest count, then the fewest changed
    decisions. Within the gap: the float threshold itself if it lies there, else the midpoint.

    The result is a probability, as everything that reads it expects: a gap that reaches below 0 or
    above 1 is cut there. At 0 every cell is still called positive. At 1 a cell is called positive
    only if its score is 1 itself; above 1, which is cut off, not even that one would be.

    Args:
        float_scores: float ``(n,)`` of the float network on the validation cells.
        float_threshold: The float network's threshold.
        edge_scores: float ``(n,)`` of the compressed network on the same cells.

    Returns:
        The threshold, 0..1; NaN when an edge score is NaN or infinite, since no threshold can then
        repeat the decisions: the gate fails such a candidate by name.

    Raises:
        DataError: Float scores that are not finite, or not as many of the one as of the other.
    """
    decisions = finite(float_scores, "float scores") >= float_threshold
    if not np.isfinite(edge_scores).all():
        return math.nan
    values = finite(edge_scores, "edge scores")
    wanted = _flat(decisions, values.size)
    low, high, below_positive, below_negative = _gaps(values, wanted, ends=True)
    changed = below_positive + (int((~wanted).sum()) - below_negative)
    called = values.size - (below_positive + below_negative)
    best = np.lexsort((changed, np.abs(called - int(wanted.sum()))))[0]
    if low[best] < float_threshold <= high[best]:
        return float(float_threshold)
    return float(np.clip(_middle(low[best], high[best]), 0.0, 1.0))


def _gaps(
    values: _Floats, positive: BoolArray, *, ends: bool = False
) -> tuple[_Floats, _Floats, _Ints, _Ints]:
    """The half-open gaps (low, high] between neighbouring scores.

    Returns:
        low, high, and how many positive and how many negative cells lie at or below ``low``. With
        ``ends`` also the gap under the lowest and the one over the highest score.
    """
    levels, inverse = np.unique(values, return_inverse=True)
    positives = np.cumsum(np.bincount(inverse[positive], minlength=levels.size))
    negatives = np.cumsum(np.bincount(inverse[~positive], minlength=levels.size))
    if not ends:
        return levels[:-1], levels[1:], positives[:-1], negatives[:-1]
    # Probabilities lie in 0..1; one step beyond keeps the outer gaps open when a score touches it.
    first, last = min(0.0, levels[0]) - 1e-6, max(1.0, levels[-1]) + 1e-6
    low, high = np.append(first, levels), np.append(levels, last)
    return low, high, np.append(0, positives), np.append(0, negatives)


def _middle(low: _Floats, high: _Floats) -> _Floats:
    """Midpoints; the upper end where two scores are neighbouring floats (the gap excludes low)."""
    middle = low + (high - low) / 2
    return np.where(middle > low, middle, high)


def _flat(labels: BoolArray, n: int) -> BoolArray:
    truth = np.asarray(labels, dtype=np.bool_).reshape(-1)
    if truth.size != n:
        raise DataError(f"{n} scores for {truth.size} cells")
    return truth
