"""Whether probabilities can be taken at their word: bins of a reliability diagram, ECE, Brier.

Sources: expected calibration error with equal-width bins, Guo et al. 2017 (arXiv 1706.04599), which
takes 15 of them and the top label. OUR READING for two classes: the probability of the positive
class is binned over 0..1, so that too high probabilities of the one class cannot cancel too high
ones of the other. Brier score: Brier 1950; for two classes the usual half of it (0..1), for more
the sum over the classes (0..2).
"""

import numpy as np

from allnet_edge.measure.intervals import wilson
from allnet_edge.measure.scored import Floats, Ints, Scored
from allnet_edge.spec.base import Frozen

BINS = 15

_TAIL = 0.975  # of each side


class ReliabilityBin(Frozen):
    """Cells whose probability lies in ``(lower, upper]``; the first bin holds 0, too.

    Attributes:
        n: Cells; at least 1.
        probability: Mean of what was said.
        share: Share of cells for which it was true.
        share_lower: Wilson's two-sided 95 % interval of it, cells taken as independent.
        share_upper: Likewise.
    """

    lower: float
    upper: float
    n: int
    probability: float
    share: float
    share_lower: float
    share_upper: float


def reliability(scored: Scored, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The bins that hold cells, from low to high; see ``Scored.top_label`` for what is binned."""
    probability, true = scored.top_label()
    which = bin_of(probability, bins)
    cells = np.bincount(which, minlength=bins)
    said = np.bincount(which, probability, bins)
    held = np.bincount(which, true, bins)
    return tuple(
        _bin(at, bins, n=int(cells[at]), said=float(said[at]), held=int(held[at]))
        for at in np.flatnonzero(cells).tolist()
    )


def _bin(at: int, bins: int, *, n: int, said: float, held: int) -> ReliabilityBin:
    low, high = wilson(held, n, _TAIL)
    return ReliabilityBin(
        lower=at / bins,
        upper=(at + 1) / bins,
        n=n,
        probability=said / n,
        share=held / n,
        share_lower=low,
        share_upper=high,
    )


def bin_of(probability: Floats, bins: int = BINS) -> Ints:
    """Number of each probability's bin, int64 ``(n,)``, 0..bins-1."""
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    return np.asarray(np.searchsorted(inner, probability), np.int64)


def squared_errors(scored: Scored) -> Floats:
    """Each cell's part of the Brier score, float64 ``(n,)``; the score is their mean."""
    truth = np.eye(scored.classes)[scored.labels]
    apart = np.square(scored.scores - truth)
    return apart[:, 1] if scored.binary else apart.sum(axis=1)


def largest_brier(scored: Scored) -> float:
    """The worst Brier score there can be."""
    return 1.0 if scored.binary else 2.0
