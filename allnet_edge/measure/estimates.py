"""Scores of one network with their two-sided 95 % intervals."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.clusters import patient_weights
from allnet_edge.measure.intervals import Interval, delong, normal_quantile, wilson
from allnet_edge.measure.metrics import roc_auc

_TAIL = 0.975  # of each side
CLUSTERED = "patient-cluster bootstrap, two-sided 95 %"
INDEPENDENT = "Wilson for rates, DeLong for AUC, two-sided 95 %, cells taken as independent"

_Floats = npt.NDArray[np.float64]


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

    With known patients, whole patients are resampled (cells of one patient are alike, so that
    intervals over cells would be too narrow); else Wilson 1927 and DeLong 1988.
    """
    labels, right = cells.labels, scores.decisions == cells.labels
    groups = (np.ones(len(cells), bool), labels, ~labels)
    values = [float(right[group].mean()) for group in groups]
    auc = roc_auc(labels, scores.scores)
    if cells.patients is None:
        intervals = [wilson(int(right[group].sum()), int(group.sum()), _TAIL) for group in groups]
        area, variance = delong(labels, scores.scores)
        half = normal_quantile(_TAIL) * float(np.sqrt(variance))
        intervals.append(Interval(max(0.0, area - half), min(1.0, area + half)))
        method = INDEPENDENT
    else:
        intervals = _clustered(cells, scores, right, groups, resamples=resamples, seed=seed)
        method = CLUSTERED
    accuracy, sensitivity, specificity, area_under = (
        Estimate(value, interval) for value, interval in zip([*values, auc], intervals, strict=True)
    )
    return Estimates(accuracy, sensitivity, specificity, area_under, method)


def _clustered(
    cells: Cells,
    scores: Scores,
    right: npt.NDArray[np.bool_],
    groups: tuple[npt.NDArray[np.bool_], ...],
    *,
    resamples: int,
    seed: int,
) -> list[Interval]:
    names, owner = np.unique(np.array(cells.patients), return_inverse=True)
    columns = [column for group in groups for column in (right & group, group)]
    sums = np.stack(
        [np.bincount(owner, column, minlength=len(names)) for column in columns], axis=1
    )
    order = np.argsort(scores.scores, kind="stable")
    found: list[list[_Floats]] = [[], [], [], []]
    # Blocks of resamples bound the memory of the [resamples, cells] table that the AUC needs.
    for weights in patient_weights(len(names), resamples, seed, block=200 * len(names)):
        totals = weights @ sums
        for at in range(3):
            found[at].append(_share(totals[:, 2 * at], totals[:, 2 * at + 1]))
        found[3].append(_weighted_auc(cells.labels, scores.scores, order, weights[:, owner]))
    return [_percentiles(np.concatenate(parts)) for parts in found]


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
