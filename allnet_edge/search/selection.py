"""The cells that a search may look at, and what a form costs on them.

They are of the validation part: no network was trained on them and no int8 range taken from them.
The gate's cells are never here, so that nothing is chosen on them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.agreement import compare
from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.gate import judge
from allnet_edge.measure.metrics import roc_auc
from allnet_edge.measure.thresholds import transfer_threshold
from allnet_edge.search.foretelling import Ahead, Foretold, foretell
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.gate import GateSpec, Verdict

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]
Infer = Callable[[Pixels], Probabilities]
_RANK: dict[Verdict, int] = {"fail": 0, "inconclusive": 1, "pass": 2}
# Of the gate's margins: a form that uses up a whole margin here has even odds to miss it there.
SHARE_OF_MARGIN = 0.5
_ROUNDING = 1e-9


class Cost(Frozen):
    """What a form loses against the float network on the selection cells.

    Attributes:
        logit_snr_db: 10 log10 of the power of the float logits over that of their differences;
            None where there is no difference.
        auc_drop: ROC-AUC of the float network minus that of the form.
        flips: Cells that the two decide differently, both at the float network's threshold.
        max_abs_difference: Of a probability.
    """

    n: int
    logit_snr_db: float | None
    auc_drop: float
    flips: int
    max_abs_difference: float

    @property
    def noise(self) -> float:
        """Power of the difference relative to the logits' own; 0 where there is none."""
        return 0.0 if self.logit_snr_db is None else 10 ** (-self.logit_snr_db / 10)


class Judgement(Frozen):
    """Whether a form may go on to the gate.

    Attributes:
        verdict: The gate's rule on the selection cells.
        why: What was missed; None where the form is acceptable.
        cost: None where the answers are no probabilities.
        foretold: What the gate is going to see; empty where its size is not known.
    """

    verdict: Verdict
    why: str | None
    cost: Cost | None
    foretold: tuple[Foretold, ...] = ()

    @property
    def acceptable(self) -> bool:
        """Whether nothing was missed."""
        return self.why is None


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Cells of the validation part with the frozen answers of float networks.

    Attributes:
        images: uint8 [n, size, size, 3].
        base: Of the float network that the forms are made from.
        reference: Of the one that they are judged against: the same, unless a student is judged
            against its teacher.
        ahead: The gate's cells, where a form is made from the very network that it is judged
            against: only there what it strays is noise, which can be foretold.
    """

    cells: Cells
    images: Pixels
    base: Scores
    reference: Scores
    gate: GateSpec
    ahead: Ahead | None = None

    def answers(self, infer: Infer) -> Probabilities:
        """Probabilities float32 [n] of a form, one image a call."""
        found = [np.asarray(infer(image[None]), np.float32).reshape(-1) for image in self.images]
        return np.concatenate(found)

    def cost(self, answers: Probabilities) -> Cost:
        """How far answers are from the base's; raises DataError if any is not finite."""
        agreement = compare(self.base.scores, answers, threshold=self.base.threshold)
        areas = [roc_auc(self.cells.labels, scores) for scores in (self.base.scores, answers)]
        return Cost(
            n=agreement.n,
            logit_snr_db=agreement.logit_snr_db,
            auc_drop=areas[0] - areas[1],
            flips=agreement.flips,
            max_abs_difference=agreement.max_abs,
        )

    def judge(self, answers: Probabilities) -> Judgement:
        """Whether a form may go on to the gate.

        It may if the gate's rule gives it here a verdict no worse than it would give the float
        network itself (on few cells that is `inconclusive`, whatever the form), and if no figure
        dropped by more than half of its margin, or by one cell where that is more: fewer than one
        cell cannot be lost. The threshold is transferred as for the gate.

        Where the size of the gate is known, a form must also be foretold to pass it; where not even
        the float network would pass on so few cells, to lose no more than half of a margin.
        """
        after = Scores(answers, transfer_threshold(self.base.scores, self.base.threshold, answers))
        before = self.reference
        found = judge(self.cells, before, after, self.gate)
        if found.reason is not None:
            return Judgement(verdict=found.verdict, why=found.reason, cost=None)
        missed = [
            f"{check.metric} {check.delta * 100:+.1f} points"
            for check in found.checks
            if check.delta is not None
            and check.delta < -max(SHARE_OF_MARGIN * check.margin, 1 / check.n) - _ROUNDING
        ]
        best = judge(self.cells, before, before, self.gate).verdict
        if _RANK[found.verdict] < _RANK[best] and not missed:
            missed = [f"{found.verdict} where the float network itself is {best}"]
        foretold = self._foretold(after)
        missed += [one.told() for one in foretold if not _bearable(one)]
        return Judgement(
            verdict=found.verdict,
            why="; ".join(missed) or None,
            cost=self.cost(answers),
            foretold=foretold,
        )

    def _foretold(self, after: Scores) -> tuple[Foretold, ...]:
        if self.ahead is None:
            return ()
        return foretell(self.cells.labels, self.base, after, self.ahead, self.gate)


def _bearable(one: Foretold) -> bool:
    found, asked = (
        (one.lower, one.margin) if one.decidable else (one.delta, SHARE_OF_MARGIN * one.margin)
    )
    return found >= -asked - _ROUNDING
