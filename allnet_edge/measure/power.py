"""What a number of cells can decide, before anything is converted: the power of the gate."""

import math

import numpy as np

from allnet_edge.measure.intervals import normal_quantile, tango
from allnet_edge.measure.metrics import FloatArray
from allnet_edge.measure.paired import by_bounds

# What lies farther from the mean weighs less than 1e-8; the second is for few changes, whose
# distribution is skewed.
_DEVIATIONS = 6
_FURTHER = 10


def fewest_cells(margin: float, confidence: float = 0.95) -> int | None:
    """The smallest number of cells of a class with which a candidate can pass at all.

    With it a candidate passes that changes no decision: Tango's lower bound is then
    ``-z^2 / (n + z^2)``.

    Args:
        margin: Largest allowed drop of the class's rate, 0 <= margin < 1.
        confidence: One-sided, of the bound.

    Returns:
        None for a margin of 0: then only a gain passes.
    """
    if margin == 0:
        return None
    square = normal_quantile(confidence) ** 2
    return math.ceil(square * (1 - margin) / margin)


def chance_of_pass(cells: int, changed: float, margin: float, confidence: float = 0.95) -> float:
    """How often the gate passes a candidate that is truly as good as the float network.

    Exact for independent cells, by summing over all numbers of changed decisions (binomial) and of
    gains among them (binomial, one half); the decision is the gate's own, Tango's interval (Tango
    1998, Statistics in Medicine 17:891). Cells of one patient change together, so that with
    known patients the chance is lower.

    Args:
        cells: Of the class, at least 1.
        changed: Share of the cells whose decision is right in one of the two networks and wrong
            in the other, 0..1; as many gained as lost in the long run.
        margin: Largest allowed drop of the class's rate, 0 <= margin < 1.
        confidence: One-sided, of the bound.

    Returns:
        A probability, 0..1.
    """
    mean = cells * changed
    reach = _DEVIATIONS * math.sqrt(mean * (1 - changed)) + _FURTHER
    first, last = max(0, math.floor(mean - reach)), min(cells, math.ceil(mean + reach))
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, cells + 1)))))

    total, gains = 0.0, 0
    for changes in range(last + 1):
        # The fewest gains that pass grow by one at most with each further changed decision.
        while gains <= changes and not _passes(gains, changes - gains, cells, margin, confidence):
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


def _passes(gains: int, losses: int, cells: int, margin: float, confidence: float) -> bool:
    return by_bounds(tango(gains, losses, cells, confidence), margin) == "pass"


def _binomial(k: int, n: int, share: float, factorials: FloatArray) -> float:
    """P(k of n), the logarithms of the factorials 0..n being given."""
    if share in (0.0, 1.0):
        return float(k == n * share)
    ways = factorials[n] - factorials[k] - factorials[n - k]
    return math.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share))
