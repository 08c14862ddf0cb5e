"""Scores of one network with their two-sided 95 % intervals."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.clusters import auc_clustered, patient_weights, wilson_clustered
from allnet_edge.measure.intervals import Interval, auc_score, delong, normal_quantile, wilson
from allnet_edge.measure.metrics import roc_auc

_TAIL = 0.975  # of each side
CLUSTERED = (
    "the wider of the patient-cluster bootstrap and the score interval (Wilson, for AUC Newcombe) "
    "at the effective number of cells, two-sided 95 %"
)
INDEPENDENT = (
    "Wilson for rates, the wider of DeLong and Newcombe for AUC, two-sided 95 %, cells taken as "
    "independent"
)

_Floats = npt.NDArray[np.float64]
_Groups = tuple[npt.NDArray[np.bool_], ...]


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


def estimate(cells: Cells, scores: Scores, *, resamples: int = 2000, seed: int = 0) -> Estimates:
    """Estimate the scores on these cells.

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
    labels, right = cells.labels, scores.decisions == cells.labels
    groups = (np.ones(len(cells), bool), labels, ~labels)
    values = [float(right[group].mean()) for group in groups]
    values.append(roc_auc(labels, scores.scores))
    if cells.patients is None:
        intervals = [wilson(int(right[group].sum()), int(group.sum()), _TAIL) for group in groups]
        score = auc_score(values[-1], cells.positives, cells.negatives, _TAIL)
        intervals.append(_delong(cells, scores).hull(score))
        method = INDEPENDENT
    else:
        owner = np.unique(np.array(cells.patients), return_inverse=True)[1]
        intervals = _clustered(
            cells, scores, right, groups, owner=owner, resamples=resamples, seed=seed
        )
        method = CLUSTERED
    accuracy, sensitivity, specificity, area = map(Estimate, values, intervals)
    return Estimates(accuracy, sensitivity, specificity, area, method)


def _delong(cells: Cells, scores: Scores) -> Interval:
    area, variance = delong(cells.labels, scores.scores)
    half = normal_quantile(_TAIL) * float(np.sqrt(variance))
    return Interval(max(0.0, area - half), min(1.0, area + half))


def _clustered(
    cells: Cells,
    scores: Scores,
    right: npt.NDArray[np.bool_],
    groups: _Groups,
    *,
    owner: npt.NDArray[np.int64],
    resamples: int,
    seed: int,
) -> list[Interval]:
    patients = int(owner.max()) + 1
    columns = [column for group in groups for column in (right & group, group)]
    sums = np.stack([np.bincount(owner[column], minlength=patients) for column in columns], axis=1)
    order = np.argsort(scores.scores, kind="stable")
    found: list[list[_Floats]] = [[], [], [], []]
    # Blocks of resamples bound the memory of the [resamples, cells] table that the AUC needs.
    for weights in patient_weights(patients, resamples, seed, block=200 * patients):
        totals = weights @ sums
        for at in range(3):
            found[at].append(_share(totals[:, 2 * at], totals[:, 2 * at + 1]))
        found[3].append(_weighted_auc(cells.labels, scores.scores, order, weights[:, owner]))
    score = [wilson_clustered(sums[:, 2 * at], sums[:, 2 * at + 1], _TAIL) for at in range(3)]
    score.append(auc_clustered(cells.labels, scores.scores, owner, _TAIL))
    resampled = [_percentiles(np.concatenate(parts)) for parts in found]
    return [drawn.hull(wide) for drawn, wide in zip(resampled, score, strict=True)]


def _weighted_auc(
    labels: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.floating],
    order: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int64],
) -> _Floats:
    """AUC of each row of weights [rows, cells]: Mann-Whitney with ties counted half."""
    truth, table = labels[order], weights[:, order].astype(np.float64)
    positive, negative = table * truth, table * ~truth
    below = np.cumsum(negative, axis=1)
    _, start, tied = np.unique(scores[order], return_index=True, return_counts=True)
    ends = start + tied - 1
    before = np.concatenate([np.zeros((len(table), 1)), below], axis=1)[:, start]
    half = (before + below[:, ends]) / 2
    wins = (positive * np.repeat(half, tied, axis=1)).sum(axis=1)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return _share(wins, pairs)


def _share(part: npt.NDArray[np.number], whole: npt.NDArray[np.number]) -> _Floats:
    """Unknown (NaN) where a resample drew no patient of a class: 0 would be a verdict."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _percentiles(values: _Floats) -> Interval:
    """Of the resamples in which the score is known; (0, 1) where it is in none."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return Interval(0.0, 1.0)
    return Interval(float(np.quantile(known, 1 - _TAIL)), float(np.quantile(known, _TAIL)))
