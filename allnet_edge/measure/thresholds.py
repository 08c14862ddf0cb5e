"""Decision thresholds, fitted on VALIDATION cells and on nothing else.

Fitting on the gate's cells would let the network look better there than anywhere else.
"""

import math

import numpy as np
import numpy.typing as npt

from allnet_edge.errors import DataError
from allnet_edge.measure.agreement import logits
from allnet_edge.measure.metrics import BoolArray, FloatArray, finite

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

_CUT = 3.0  # standard deviations of the weights


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
    """The score that a compressed network gives to a cell on the float network's threshold.

    Compression may shift all scores a little; judging it at the float threshold would then charge
    it with a shift that one number undoes. Fitting afresh on the labels would be worse: it adds
    the noise of a second search to the comparison. So labels play no part here.

    The shift is read off a line through the logits, edge over float, in which near cells weigh
    most (local linear regression: Cleveland & Devlin 1988, J. Am. Stat. Assoc. 83:596; the weights
    are Gaussian with the median distance from the threshold as standard deviation). All cells
    around the threshold tell of it. Two other ways were tried first, and only the few cells whose
    decision changes told them anything: the threshold of the fewest changes, and the one that calls
    as many cells positive. With 165 to 250 validation cells the latter was off by 1.1 to 1.6 points
    (root mean square) of the cells called positive for int8, most of the gate's margin
    (benchmarks/threshold_transfer.py).

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
    at = float(logits(np.array(float_threshold)))
    before = logits(finite(float_scores, "float scores")).reshape(-1) - at
    if not np.isfinite(edge_scores).all():
        return math.nan
    after = logits(finite(edge_scores, "edge scores")).reshape(-1) - at
    if after.size != before.size:
        raise DataError(f"{after.size} scores for {before.size} cells")
    shift = _at_zero(before, after)
    return 1 / (1 + math.exp(-(at + shift))) if shift else float(float_threshold)


def _at_zero(before: _Floats, after: _Floats) -> float:
    """Where the local line through (before, after) crosses ``before`` = 0.

    Logits further away than three standard deviations are cut there: a probability that int8
    rounded to 0 or 1 has none. One cell more, as far away as the standard deviation, votes for a
    slope of 1, so that few cells, or cells in one place, still give a line.
    """
    spread = float(np.median(np.abs(before))) or 1.0
    x = np.clip(before, -_CUT * spread, _CUT * spread)
    rise = np.clip(after, -_CUT * spread, _CUT * spread) - x
    weights = np.exp(-0.5 * np.square(x / spread))
    n, sx, sxx = weights.sum(), (weights * x).sum(), (weights * x * x).sum() + spread**2
    sy, sxy = (weights * rise).sum(), (weights * x * rise).sum()
    return float((sxx * sy - sx * sxy) / (n * sxx - sx * sx))


def _gaps(values: _Floats, positive: BoolArray) -> tuple[_Floats, _Floats, _Ints, _Ints]:
    """The half-open gaps (low, high] between neighbouring scores.

    Returns:
        low, high, and how many positive and how many negative cells lie at or below ``low``.
    """
    levels, inverse = np.unique(values, return_inverse=True)
    positives = np.cumsum(np.bincount(inverse[positive], minlength=levels.size))
    negatives = np.cumsum(np.bincount(inverse[~positive], minlength=levels.size))
    return levels[:-1], levels[1:], positives[:-1], negatives[:-1]


def _middle(low: _Floats, high: _Floats) -> _Floats:
    """Midpoints; the upper end where two scores are neighbouring floats (the gap excludes low)."""
    middle = low + (high - low) / 2
    return np.where(middle > low, middle, high)


def _flat(labels: BoolArray, n: int) -> BoolArray:
    truth = np.asarray(labels, dtype=np.bool_).reshape(-1)
    if truth.size != n:
        raise DataError(f"{n} scores for {truth.size} cells")
    return truth
