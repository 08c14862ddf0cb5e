"""What a number of cells can decide, before anything is converted: the power of one of the gate's
two checks by rates.
"""

import math

import numpy as np

from allnet_edge.measure.intervals import normal_quantile, student_quantile, tango
from allnet_edge.measure.metrics import FloatArray
from allnet_edge.measure.paired import by_bounds

# What lies farther from the mean weighs less than 1e-8; the second is for few changes, whose
# distribution is skewed.
_DEVIATIONS = 6
_FURTHER = 10


def fewest_cells(
    margin: float, confidence: float = 0.95, patients: int | None = None
) -> int | None:
    """The smallest number of cells of a class with which no changed decision is a pass.

    Tango's lower bound is then ``-z^2 / (n + z^2)``. With fewer cells only a gain passes.

    Args:
        margin: Largest allowed drop of the class's rate, 0 <= margin < 1.
        confidence: One-sided, of the bound.
        patients: Of the class; None where unknown. The gate's quantile is then Student's.

    Returns:
        None where no number of cells does: for a margin of 0, and for one patient.
    """
    quantile = _quantile(confidence, patients)
    if margin == 0 or quantile is None:
        return None
    return math.ceil(quantile**2 * (1 - margin) / margin)


def chance_of_pass(
    cells: int,
    changed: float,
    margin: float,
    confidence: float = 0.95,
    patients: int | None = None,
) -> float:
    """How often the check of one class passes a candidate that is truly as good as the float one.

    Exact for independent cells, by summing over all numbers of changed decisions (binomial) and of
    gains among them (binomial, one half); the decision is the gate's own, Tango's interval (Tango
    1998, Statistics in Medicine 17:891). With known patients it is an upper limit: their cells
    change together, and the gate's bootstrap may widen its bounds further.

    Args:
        cells: Of the class, at least 1.
        changed: Share of the cells whose decision is right in one of the two networks and wrong
            in the other, 0..1; as many gained as lost in the long run.
        margin: Largest allowed drop of the class's rate, 0 <= margin < 1.
        confidence: One-sided, of the bound.
        patients: As of `fewest_cells`.

    Returns:
        A probability, 0..1. The gate has three more checks, so that it passes less often.
    """
    quantile = _quantile(confidence, patients)
    if quantile is None:
        return 0.0
    mean = cells * changed
    reach = _DEVIATIONS * math.sqrt(mean * (1 - changed)) + _FURTHER
    first, last = max(0, math.floor(mean - reach)), min(cells, math.ceil(mean + reach))
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, cells + 1)))))

    total, gains = 0.0, 0
    for changes in range(last + 1):
        # The fewest gains that pass grow by one at most with each further changed decision.
        while gains <= changes and not _passes(gains, changes - gains, cells, margin, quantile):
            gains += 1
        if changes >= first and gains <= changes:
            total += _binomial(changes, cells, changed, factorials) * float(
                np.exp(
                    factorials[changes]
                    - factorials[gains : changes + 1]
                    - factorials[changes - gains :: -1]
                    - changes * math.log(2)
                ).sum()
            )
    return min(total, 1.0)


def _quantile(confidence: float, patients: int | None) -> float | None:
    """As in the gate's bounds; None for one patient, who says nothing about others."""
    if patients is None:
        return normal_quantile(confidence)
    return student_quantile(confidence, patients - 1) if patients > 1 else None


def _passes(gains: int, losses: int, cells: int, margin: float, quantile: float) -> bool:
    return by_bounds(tango(gains, losses, cells, z=quantile), margin) == "pass"


def _binomial(k: int, n: int, share: float, factorials: FloatArray) -> float:
    """P(k of n), the logarithms of the factorials 0..n being given."""
    if share in (0.0, 1.0):
        return float(k == n * share)
    ways = factorials[n] - factorials[k] - factorials[n - k]
    return math.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share))
