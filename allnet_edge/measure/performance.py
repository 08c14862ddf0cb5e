"""What a network gets right on cells: every figure with its two-sided 95 % interval.

Patients known: the wider, on each side, of the bootstrap over whole patients and a score interval
at the effective number of cells (``clusters``), which keeps a width where the resamples have none
and knows that few patients say little. Patients unknown: the score interval, cells taken as
independent; for what has no such interval of its own the wider of it and a bootstrap over cells.
Each figure says which it has.
"""

from collections.abc import Mapping

import numpy as np

from allnet_edge.measure.clusters import patient_weights
from allnet_edge.measure.intervals import Interval, normal_quantile, student_quantile
from allnet_edge.measure.resampling import PatientSums, Statistics, Values
from allnet_edge.measure.score_intervals import TAIL, Score, score_intervals
from allnet_edge.measure.scored import Floats, Scored
from allnet_edge.spec.base import Frozen

RESAMPLES = 2000
UNDEFINED = "undefined: nothing to divide by"
_ECE = (
    "{bootstrap}: its spread about its own median, stretched by Student's quantile, put about the "
    "value, and below it also what the median is too large by (few cells a bin always look badly "
    "calibrated)"
)


class Figure(Frozen):
    """A figure with its interval.

    Attributes:
        value: None where it is undefined.
        lower: Two-sided 95 %; None where the value is.
        upper: Likewise.
        n: Cells it is a figure of: of the one class for sensitivity, those called positive for PPV.
        method: How the interval was found.
    """

    value: float | None
    lower: float | None
    upper: float | None
    n: int
    method: str


class Performance(Frozen):
    """All figures of one network on one set of cells.

    Attributes:
        n: Cells.
        patients: None where unknown.
        classes: In the order of the network's outputs; of two the second is positive.
        figures: By name. Two classes: accuracy, balanced_accuracy, sensitivity, specificity, ppv,
            npv (at the prevalence of the cells), ppv_at_prevalence and npv_at_prevalence where one
            was given, f1, weighted_f1, roc_auc, pr_auc (average precision), brier, ece. More:
            accuracy, balanced_accuracy (the macro sensitivity), macro_* and weighted_* of the
            figures of the classes, brier, ece.
        per_class: Of each class against the rest, by class and name; empty for two classes.
        confusion: Counts; rows are the truth, columns the decision.
        prevalence: That was given, or None.
        resamples: Of each bootstrap.
        seed: Of its draws.
    """

    n: int
    patients: int | None
    classes: tuple[str, ...]
    figures: dict[str, Figure]
    per_class: dict[str, dict[str, Figure]]
    confusion: tuple[tuple[int, ...], ...]
    prevalence: float | None
    resamples: int
    seed: int


def performance(
    scored: Scored,
    classes: tuple[str, ...],
    *,
    prevalence: float | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Performance:
    """Compute every figure.

    Args:
        scored: The cells.
        classes: Their names.
        prevalence: Share of positive cells where the network is to be used, 0 < p < 1; asks for
            predictive values there. Two classes only.
        resamples: Of the bootstrap.
        seed: Of its draws.
    """
    known = scored.owner
    owner = np.arange(len(scored)) if known is None else known
    sums = PatientSums.of(scored, owner, prevalence)
    once, drawn = sums.once(), _drawn(sums, resamples, seed)
    overall, per_class = score_intervals(scored, once, known, prevalence)
    spread = _Spread(
        bootstrap=f"bootstrap over {'cells' if known is None else 'patients'} ({resamples:,})",
        patients=None if known is None else sums.patients,
    )
    return Performance(
        n=len(scored),
        patients=spread.patients,
        classes=classes,
        figures=spread.figures(once.overall, drawn.overall, overall),
        per_class={
            classes[at]: spread.figures(values, drawn.per_class[at], per_class[at])
            for at, values in enumerate(once.per_class)
        },
        confusion=tuple(tuple(map(int, row)) for row in scored.confusion()),
        prevalence=prevalence,
        resamples=resamples,
        seed=seed,
    )


def _drawn(sums: PatientSums, resamples: int, seed: int) -> Statistics:
    blocks = patient_weights(sums.patients, resamples, seed, block=2_000_000)
    return Statistics.joined([sums.resample(weights) for weights in blocks])


class _Spread:
    """Joins a figure's resamples with its score interval."""

    def __init__(self, bootstrap: str, patients: int | None) -> None:
        self.bootstrap, self.patients = bootstrap, patients

    def figures(
        self, values: Values, drawn: Values, scores: Mapping[str, Score]
    ) -> dict[str, Figure]:
        return {
            name: self._figure(name, float(value[0]), drawn[name], scores[name])
            for name, value in values.items()
        }

    def _figure(self, name: str, value: float, drawn: Floats, score: Score) -> Figure:
        if not np.isfinite(value):
            return Figure(value=None, lower=None, upper=None, n=score.n, method=UNDEFINED)
        interval, method = self._interval(name, value, drawn, score)
        return Figure(
            value=value,
            lower=min(value, interval.lower),  # a sum of squares may differ in the last digit
            upper=max(value, interval.upper),
            n=score.n,
            method=method,
        )

    def _interval(
        self, name: str, value: float, drawn: Floats, score: Score
    ) -> tuple[Interval, str]:
        if name == "ece":
            return self._moved(value, drawn), _ECE.format(bootstrap=self.bootstrap)
        if self.patients is None and score.closed:
            return score.interval, f"{score.method}, cells taken as independent"
        where = "" if self.patients is None else f" {score.clustered}"
        both = f"the wider of {self.bootstrap} and {score.method}{where}"
        return percentiles(drawn).hull(score.interval), both

    def _moved(self, value: float, drawn: Floats) -> Interval:
        """The spread of the resamples about the value instead of about their own median.

        The calibration error of a sample is larger than that of its population, since chance puts
        every bin off; a resample's is larger than its sample's for the same reason, and by about as
        much. So the lower bound reaches down by that, too.
        """
        if self.patients is not None and self.patients < 2:
            return Interval(0.0, 1.0)
        low, middle, high = np.quantile(drawn, (1 - TAIL, 0.5, TAIL))
        stretch = 1.0
        if self.patients is not None:
            stretch = student_quantile(TAIL, self.patients - 1) / normal_quantile(TAIL)
        bias = max(0.0, float(middle) - value)
        return Interval(
            max(0.0, value - bias - stretch * float(middle - low)),
            min(1.0, value + stretch * float(high - middle)),
        )


def percentiles(values: Floats) -> Interval:
    """Of the resamples in which the figure is known; (0, 1) where it is in none."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return Interval(0.0, 1.0)
    return Interval(float(np.quantile(known, 1 - TAIL)), float(np.quantile(known, TAIL)))
