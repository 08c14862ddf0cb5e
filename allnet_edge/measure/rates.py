"""The rates of a decision, for many resamples at once, and predictive values at a prevalence."""

from dataclasses import dataclass

import numpy as np

from allnet_edge.measure.scored import Floats

Rates = dict[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """One class against the rest: cells by truth and decision, each float64 ``(resamples,)``.

    The rates are those of ``metrics.Confusion``; a rate of nothing is NaN there and here.
    """

    tp: Floats
    fn: Floats
    tn: Floats
    fp: Floats

    @property
    def cells(self) -> Floats:
        """Cells of the class."""
        return self.tp + self.fn

    @property
    def others(self) -> Floats:
        """All other cells."""
        return self.tn + self.fp

    @property
    def sensitivity(self) -> Floats:
        """Share tp / (tp + fn)."""
        return share(self.tp, self.cells)

    @property
    def specificity(self) -> Floats:
        """Share tn / (tn + fp)."""
        return share(self.tn, self.others)

    @property
    def ppv(self) -> Floats:
        """Share tp / (tp + fp), at the prevalence of the cells."""
        return share(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> Floats:
        """Share tn / (tn + fn), at the prevalence of the cells."""
        return share(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> Floats:
        """2 tp / (2 tp + fp + fn)."""
        return share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def turned(self) -> "Counts":
        """The rest against the class."""
        return Counts(tp=self.tn, fn=self.fp, tn=self.tp, fp=self.fn)


def share(part: Floats, whole: Floats) -> Floats:
    """``part / whole``; NaN, undefined, where there is no whole."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, np.nan))


def ppv_at(prevalence: float, sensitivity: Floats, specificity: Floats) -> Floats:
    """Chance that a cell called positive is so, by Bayes' theorem.

    Args:
        prevalence: Share of positive cells where the network is used, 0 < p < 1.
        sensitivity: 0..1.
        specificity: 0..1.
    """
    true = prevalence * sensitivity
    return share(true, true + (1 - prevalence) * (1 - specificity))


def npv_at(prevalence: float, sensitivity: Floats, specificity: Floats) -> Floats:
    """Chance that a cell called negative is so; see ``ppv_at``."""
    return ppv_at(1 - prevalence, specificity, sensitivity)
