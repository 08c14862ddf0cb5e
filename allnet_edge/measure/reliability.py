"""Whether probabilities can be taken at their word: bins of a reliability diagram, ECE, Brier.

Sources: expected calibration error with equal-width bins, Guo et al. 2017 (arXiv 1706.04599), which
takes 15 of them and the top label. OUR READING for two classes: the probability of the positive
class is binned over 0..1, so that too high probabilities of the one class cannot cancel too high
ones of the other. Brier score: Brier 1950; for two classes the usual half of it (0..1), for more
the sum over the classes (0..2).
"""

import numpy as np

from allnet_edge.measure.scored import Floats, Ints, Scored
from allnet_edge.spec.base import Frozen

BINS = 15


class ReliabilityBin(Frozen):
    """Cells whose probability lies in ``(lower, upper]``; the first bin holds 0, too.

    Attributes:
        n: Cells; at least 1.
        probability: Mean of what was said.
        share: Share of cells for which it was true.
    """

    lower: float
    upper: float
    n: int
    probability: float
    share: float


def reliability(scored: Scored, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The bins that hold cells, from low to high; see ``Scored.top_label`` for what is binned."""
    probability, true = scored.top_label()
    which = bin_of(probability, bins)
    cells = np.bincount(which, minlength=bins)
    said = np.bincount(which, probability, bins)
    held = np.bincount(which, true, bins)
    return tuple(
        ReliabilityBin(
            lower=float(at / bins),
            upper=float((at + 1) / bins),
            n=int(cells[at]),
            probability=float(said[at] / cells[at]),
            share=float(held[at] / cells[at]),
        )
        for at in np.flatnonzero(cells)
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
