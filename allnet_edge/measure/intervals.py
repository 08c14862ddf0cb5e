"""Confidence intervals for proportions, paired differences and ROC areas.

Everywhere ``confidence`` is the ONE-SIDED confidence of each bound: with 0.95 the lower bound alone
holds in 95 % of experiments, and both together in 90 %.

Sources: Wilson 1927; Tango 1998 (Statistics in Medicine 17:891); DeLong, DeLong & Clarke-Pearson
1988 (Biometrics 44:837) in the fast form of Sun & Xu 2014 (IEEE Signal Processing Letters 21:1389);
Newcombe 2006 (Statistics in Medicine 25:559) on the variance of Hanley & McNeil 1982 (Radiology
143:29).
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from allnet_edge.errors import DataError
from allnet_edge.measure.metrics import BoolArray, FloatArray, finite, midranks

_Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A lower and an upper bound."""

    lower: float
    upper: float

    def hull(self, other: "Interval") -> "Interval":
        """The smallest interval that holds both."""
        return Interval(min(self.lower, other.lower), max(self.upper, other.upper))


def wilson(
    successes: float, n: float, confidence: float = 0.95, *, z: float | None = None
) -> Interval:
    """Wilson's score interval for a proportion; (0, 1) where nothing was seen.

    Args:
        successes: Need not be whole, nor need ``n``.
        n: All trials.
        confidence: One-sided, of each bound.
        z: Takes the place of the normal quantile of ``confidence`` where given.
    """
    if n == 0:
        return Interval(0.0, 1.0)
    z2 = (normal_quantile(confidence) if z is None else z) ** 2
    centre = (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    lower = 0.0 if successes == 0 else centre - half
    return Interval(lower, 1.0 if successes == n else centre + half)


def tango(
    gains: float, losses: float, n: float, confidence: float = 0.95, *, z: float | None = None
) -> Interval:
    """Tango's score interval for the difference of two paired proportions, second minus first.

    Each bound is the difference at which the score test is just significant, the nuisance parameter
    being at its constrained maximum likelihood. So the interval has a width even when no pair
    differs: then it is ``-/+ z^2 / (n + z^2)``.

    Args:
        gains: Pairs that only the second classifier gets right; need not be whole.
        losses: Pairs that only the first one gets right.
        n: All pairs, more than 0.
        confidence: One-sided, of each bound.
        z: Takes the place of the normal quantile of ``confidence`` where given.
    """
    if z is None:
        z = normal_quantile(confidence)

    def excess(difference: float, side: float) -> float:
        """Zero where the score statistic equals ``side * z``; without a division, so never 0/0."""
        variance = 2 * _nuisance(gains, losses, n, difference) + difference * (1 - difference)
        return gains - losses - n * difference - side * z * math.sqrt(max(n * variance, 0.0))

    observed = (gains - losses) / n
    lower = _falling_root(lambda d: excess(d, 1), -1.0, observed)
    return Interval(lower, _falling_root(lambda d: excess(d, -1), observed, 1.0))


def delong(labels: BoolArray, scores: FloatArray) -> tuple[float, float]:
    """Area under the ROC curve and its variance (DeLong; O(n log n)).

    Raises:
        DataError: One class only, scores that are not finite, or not as many as labels.
    """
    areas, covariance = _delong(labels, [scores])
    return float(areas[0]), float(covariance[0, 0])


def auc_score(
    area: float,
    positives: float,
    negatives: float,
    confidence: float = 0.95,
    *,
    z: float | None = None,
) -> Interval:
    """Newcombe's score interval (his method 5) for the area under one ROC curve.

    The variance is Hanley & McNeil's, at the mean of the two class sizes, and taken AT each bound,
    as Wilson does it for a proportion. So the interval has a width even at an area of 1, where
    DeLong's variance and every resample are blind; with one cell a class it is Wilson's.

    Args:
        area: 0..1.
        positives: Cells of the positive class, at least 1; need not be whole.
        negatives: Likewise.
        confidence: One-sided, of each bound.
        z: Takes the place of the normal quantile of ``confidence`` where given.
    """
    if z is None:
        z = normal_quantile(confidence)
    more = (positives + negatives) / 2 - 1

    def excess(bound: float, side: float) -> float:
        """Zero where the area observed lies ``side * z`` standard errors from ``bound``."""
        alike = 1 + more * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        variance = bound * (1 - bound) * alike / (positives * negatives)
        return area - bound - side * z * math.sqrt(variance)

    lower = _falling_root(lambda bound: excess(bound, 1), 0.0, area)
    return Interval(lower, _falling_root(lambda bound: excess(bound, -1), area, 1.0))


def delong_difference(
    labels: BoolArray, first: FloatArray, second: FloatArray, confidence: float = 0.95
) -> Interval:
    """DeLong's interval for AUC(second) - AUC(first) on the same cells, within -1..1.

    It is a normal approximation that takes cells for independent, and it has no width when both
    rank alike: information, not proof.

    Raises:
        DataError: One class only, scores that are not finite, or not as many as labels.
    """
    areas, covariance = _delong(labels, [first, second])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    half = normal_quantile(confidence) * math.sqrt(max(variance, 0.0))
    difference = float(areas[1] - areas[0])
    return Interval(max(-1.0, difference - half), min(1.0, difference + half))


def placements(labels: BoolArray, scores: FloatArray) -> tuple[_Floats, _Floats]:
    """Share of the other class that each cell is rightly above (or below), ties by half.

    The mean over either class is the area under the ROC curve (Hanley & Hajian-Tilaki 1997).

    Args:
        labels: bool ``(n,)``, both classes.
        scores: float ``(n,)``, finite.

    Returns:
        Of the positive cells and of the negative ones, float64 0..1, in the order of the cells.
    """
    values = np.asarray(scores, np.float64)
    ranks = midranks(values)
    above = (ranks[labels] - midranks(values[labels])) / (~labels).sum()
    below = 1 - (ranks[~labels] - midranks(values[~labels])) / labels.sum()
    return above, below


def normal_quantile(probability: float) -> float:
    """Inverse of the standard normal distribution function."""
    return NormalDist().inv_cdf(probability)


def student_quantile(probability: float, degrees: int) -> float:
    """Inverse of Student's distribution function, for probabilities of at least 0.5.

    Bisection on the finite sums of Abramowitz & Stegun 26.7.3 and 26.7.4, in the angle
    ``atan(t / sqrt(degrees))``, where the range is bounded.

    Args:
        probability: 0.5 <= p < 1.
        degrees: Degrees of freedom, at least 1.
    """
    inside = 2 * probability - 1  # P(-t < T < t)
    angle = _falling_root(lambda a: inside - _student_inside(a, degrees), 0.0, math.pi / 2)
    return math.sqrt(degrees) * math.tan(angle)


def _student_inside(angle: float, degrees: int) -> float:
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(1 + odd, degrees, 2):
        total += term
        term *= cosine * cosine * k / (k + 1)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _nuisance(gains: float, losses: float, n: float, difference: float) -> float:
    """P(only the first is right) at its maximum likelihood when the difference is given."""
    b = (2 * n - gains + losses) * difference - gains - losses
    c = -losses * difference * (1 - difference)
    root = math.sqrt(max(b * b - 8 * n * c, 0.0))
    if b > 0:  # the other form of the quadratic's solution, which does not cancel here
        return -2 * c / (b + root)
    return (root - b) / (4 * n)


def _falling_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls from >= 0 at ``low`` to <= 0 at ``high`` is zero; bisection."""
    for _ in range(80):
        middle = low + (high - low) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return low + (high - low) / 2


def _delong(labels: BoolArray, scores: list[FloatArray]) -> tuple[_Floats, _Floats]:
    """Areas ``(k,)`` and their covariance ``(k, k)`` through midranks."""
    truth = np.asarray(labels, dtype=np.bool_).reshape(-1)
    table = [finite(row) for row in scores]
    if any(row.size != truth.size for row in table):
        raise DataError(f"not one score for each of {truth.size} cells")
    if truth.all() or not truth.any():
        raise DataError("an ROC area needs cells of both classes")
    of_positive, of_negative = zip(*(placements(truth, row) for row in table), strict=True)
    areas = np.array([above.mean() for above in of_positive])
    of_each = [_covariance(rows) / rows[0].size for rows in (of_positive, of_negative)]
    return areas, of_each[0] + of_each[1]


def _covariance(rows: Sequence[_Floats]) -> _Floats:
    """Sample covariance ``(k, k)``; zero for a single cell, whose spread cannot be seen."""
    table = np.stack(rows)
    if table.shape[1] < 2:
        return np.zeros((len(rows), len(rows)))
    return np.atleast_2d(np.cov(table))
