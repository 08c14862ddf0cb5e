"""The four scores that the gate and the reports of a build speak of, with two-sided intervals."""

from dataclasses import dataclass
from typing import NamedTuple

from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.intervals import Interval
from allnet_edge.measure.performance import RESAMPLES, Figure, performance
from allnet_edge.measure.scored import Scored

CLUSTERED = (
    "the wider of the patient-cluster bootstrap and the score interval (Wilson, for AUC Newcombe) "
    "at the effective number of cells, two-sided 95 %"
)
INDEPENDENT = (
    "Wilson for rates, the wider of DeLong and Newcombe for AUC, two-sided 95 %, cells taken as "
    "independent"
)


class Estimate(NamedTuple):
    """A value with its interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Estimates:
    """The four scores of a binary network, and how their intervals were found."""

    accuracy: Estimate
    sensitivity: Estimate
    specificity: Estimate
    auc: Estimate
    method: str


def estimate(
    cells: Cells, scores: Scores, *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimates:
    """Estimate the scores on these cells: four of ``performance``'s figures.

    Patients unknown: Wilson 1927 for the rates; for the ROC area the wider, on each side, of DeLong
    1988 and Newcombe's score interval (2006, his method 5).

    Patients known: the wider, on each side, of the bootstrap over whole patients (cells of one
    patient are alike, so that intervals over cells would be too narrow) and the same score
    intervals at the effective number of cells, with Student's quantile.

    The score intervals are there because the others are blind where nothing varies: a network
    without an error on 20 cells would get 1..1 from every resample and from DeLong's variance.
    Theirs keep a width. A rate of one patient says nothing about others, nor does an area with one
    patient in either class: (0, 1).
    """
    scored = Scored.by_threshold(cells.labels, scores.scores, scores.threshold, cells.patients)
    found = performance(scored, ("negative", "positive"), resamples=resamples, seed=seed).figures
    return Estimates(
        _estimate(found["accuracy"]),
        _estimate(found["sensitivity"]),
        _estimate(found["specificity"]),
        _estimate(found["roc_auc"]),
        INDEPENDENT if cells.patients is None else CLUSTERED,
    )


def _estimate(figure: Figure) -> Estimate:
    """These four are defined wherever there are cells of both classes, which ``Cells`` demands."""
    value, lower, upper = figure.value, figure.lower, figure.upper
    if value is None or lower is None or upper is None:
        raise ValueError("a figure of cells of both classes is undefined")
    return Estimate(value, Interval(lower, upper))
