"""How the probabilities of a network, or of a probe, become decisions."""

from dataclasses import dataclass

import numpy as np

from allnet_edge.evaluation.cells import Cells
from allnet_edge.measure.scored import Floats, Scored
from allnet_edge.measure.thresholds import fit_threshold
from allnet_edge.report.evaluation_document import OperatingPoint


@dataclass(frozen=True, slots=True)
class Rule:
    """A threshold on the probability of the positive class, or the most probable class.

    Attributes:
        threshold: None for several classes.
        fitted_on: On which cells.
        n: How many those are; None where not known.
        note: What the reader has to know about it.
    """

    threshold: float | None
    fitted_on: str
    n: int | None
    note: str = ""

    @classmethod
    def argmax(cls) -> "Rule":
        """Of several classes the most probable."""
        return cls(None, "nothing: the most probable class", None)

    @classmethod
    def fitted(cls, cells: Cells, scores: Floats) -> "Rule":
        """The threshold of best balanced accuracy on validation cells; argmax for several classes.

        A network that gives every cell the same score has collapsed. That is a result, too: it is
        judged at 0.5.
        """
        if len(cells.labels.classes) > 2:
            return cls.argmax()
        if np.ptp(scores) == 0:
            note = f"collapsed: every {cells.part} cell has the score {scores[0]:.4g}"
            return cls(0.5, "nothing: no threshold can be fitted", None, note)
        threshold = fit_threshold(cells.truth == 1, scores)
        return cls(
            threshold,
            f"{cells.part} part, for the best balanced accuracy",
            len(cells.samples),
        )

    def decide(self, cells: Cells, scores: Floats) -> Scored:
        """The cells with their scores and decisions.

        Args:
            cells: To be judged on.
            scores: float64 ``(n,)`` of the positive class, or ``(n, classes)``.
        """
        if self.threshold is None:
            return Scored.by_argmax(cells.truth, scores, cells.patients)
        return Scored.by_threshold(cells.truth == 1, scores, self.threshold, cells.patients)

    def to_document(self) -> OperatingPoint:
        """As the document has it."""
        return OperatingPoint(
            rule="argmax" if self.threshold is None else "threshold",
            threshold=self.threshold,
            fitted_on=self.fitted_on,
            n=self.n,
            note=self.note,
        )
