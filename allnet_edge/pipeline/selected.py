"""What the stage ``select`` says of a network's forms: ``select.json``."""

from allnet_edge.measure.gate_report import Check, Metric
from allnet_edge.search.selection import Judgement
from allnet_edge.spec.base import Frozen

_RATES: tuple[Metric, ...] = ("sensitivity", "specificity")


class SelectedForm(Frozen):
    """One form on the validation cells.

    Attributes:
        id: Of the form.
        sha256: Of its file.
        size: Of its file, in bytes.
        judgement: Whether it may go on to the gate.
        checks: Accuracy, sensitivity, specificity and ROC area beside those of the network that it
            is judged against, with their paired bounds.
    """

    id: str
    sha256: str
    size: int
    judgement: Judgement
    checks: tuple[Check, ...]

    def check(self, metric: Metric) -> Check:
        """The check of one metric."""
        return next(check for check in self.checks if check.metric == metric)

    @property
    def drop(self) -> float | None:
        """The larger loss of sensitivity and specificity, 0..1; a gain counts as no loss.

        None where one of them could not be computed.
        """
        deltas = [self.check(metric).delta for metric in _RATES]
        known = [delta for delta in deltas if delta is not None]
        return max(0.0, *(-delta for delta in known)) if len(known) == len(deltas) else None


class Selected(Frozen):
    """``select.json``.

    Attributes:
        part: Of the split; never the gate's.
        n: Cells.
        positives: Of them.
        patients: None where unknown.
        forms: In the order of the build.
    """

    part: str
    n: int
    positives: int
    patients: int | None
    forms: tuple[SelectedForm, ...]
