"""Whether a compressed network may take the float network's place: non-inferiority, per class.

The rule is told, with its formulas and its sources, in docs/gate.md.
"""

import math
from dataclasses import dataclass

import numpy as np

from allnet_edge.errors import DataError
from allnet_edge.measure.cells import Cells, Scores, require_unseen
from allnet_edge.measure.gate_report import (
    CandidateVerdict,
    Check,
    FlipCounts,
    GateCandidate,
    GateReport,
    Metric,
    Pair,
    worst,
)
from allnet_edge.measure.intervals import delong_difference, wilson
from allnet_edge.measure.metrics import BoolArray, FloatArray, finite, roc_auc
from allnet_edge.measure.paired import PairedDifference, by_bounds, by_point
from allnet_edge.spec.gate import GateSpec

__all__ = [
    "CandidateVerdict",
    "Cells",
    "Check",
    "GateCandidate",
    "GateReport",
    "Scores",
    "judge",
    "require_unseen",
]

FEW_PATIENTS = 20  # with 12 the bounds let up to 12 % by instead of 5 % (docs/gate.md)
_RANGE = 1e-3  # how far a probability may leave 0..1: fp16 rounds by 5e-4 near 1


def judge(
    cells: Cells, float_scores: Scores, edge_scores: Scores, spec: GateSpec
) -> CandidateVerdict:
    """Judge one candidate against the float network on the same held-out cells.

    Sensitivity and specificity: the one-sided lower bound of the paired difference at or above the
    negative margin passes, an upper bound below it fails, anything else is inconclusive. Accuracy
    and ROC area: the point estimate decides; their intervals are information. A candidate with
    outputs that are NaN, infinite, constant or no probabilities fails with the reason.

    Raises:
        DataError: Not one score a cell, or float scores that are not finite: no candidate's fault.
    """
    for name, given in (("float", float_scores), ("edge", edge_scores)):
        if np.size(given.scores) != len(cells):
            raise DataError(f"{np.size(given.scores)} {name} scores for {len(cells)} gate cells")
    finite(float_scores.scores, "float scores")
    reason = _unusable(edge_scores)
    if reason:
        return _failed(cells, float_scores, edge_scores, spec, reason)
    reason = _implausible(edge_scores.scores)
    before, after = float_scores.decisions, edge_scores.decisions
    outcome = _Outcome(cells, before == cells.labels, after == cells.labels)
    checks = (
        _accuracy(outcome, spec),
        _rate("sensitivity", cells.labels, outcome, spec),
        _rate("specificity", ~cells.labels, outcome, spec),
        _auc(cells, float_scores.scores, edge_scores.scores, spec),
    )
    return CandidateVerdict(
        verdict="fail" if reason else worst(check.verdict for check in checks),
        reason=reason,
        checks=checks,
        flips=FlipCounts(
            positive_to_negative=int((before & ~after).sum()),
            negative_to_positive=int((~before & after).sum()),
        ),
        auc=Pair(float=checks[3].float, edge=checks[3].edge),
        threshold=Pair(float=float_scores.threshold, edge=edge_scores.threshold),
    )


def _rate(metric: Metric, members: BoolArray, outcome: "_Outcome", spec: GateSpec) -> Check:
    """Sensitivity or specificity: the share of ``members`` decided rightly."""
    margin = spec.sensitivity if metric == "sensitivity" else spec.specificity
    paired = outcome.paired(members, spec)
    bounds = paired.bounds()
    verdict = by_bounds(bounds, margin)
    return Check(
        metric=metric,
        n=int(members.sum()),
        patients=paired.patients,
        float=float(outcome.float_right[members].mean()),
        edge=float(outcome.edge_right[members].mean()),
        delta=paired.delta,
        lower=bounds.lower,
        upper=bounds.upper,
        margin=margin,
        verdict=verdict,
        needed=paired.needed(margin) if verdict == "inconclusive" else None,
        note="; ".join(filter(None, (_patients_note(paired.patients), _chance_note(outcome, spec))))
        or None,
    )


def _accuracy(outcome: "_Outcome", spec: GateSpec) -> Check:
    paired = outcome.paired(np.ones(len(outcome.cells), dtype=np.bool_), spec)
    bounds = paired.bounds()
    before = float(outcome.float_right.mean())
    # accuracy(edge) >= ratio * accuracy(float), written as an allowed drop like the other margins.
    margin = (1 - spec.accuracy_ratio) * before
    return Check(
        metric="accuracy",
        n=len(outcome.cells),
        patients=paired.patients,
        float=before,
        edge=float(outcome.edge_right.mean()),
        delta=paired.delta,
        lower=bounds.lower,
        upper=bounds.upper,
        margin=margin,
        verdict=by_point(paired.delta, margin),
        note="the point estimate decides; the interval is information",
    )


def _auc(cells: Cells, before: FloatArray, after: FloatArray, spec: GateSpec) -> Check:
    areas = roc_auc(cells.labels, before), roc_auc(cells.labels, after)
    bounds = delong_difference(cells.labels, before, after, spec.confidence)
    return Check(
        metric="auc",
        n=len(cells),
        patients=cells.patient_count,
        float=areas[0],
        edge=areas[1],
        delta=areas[1] - areas[0],
        lower=bounds.lower,
        upper=bounds.upper,
        margin=spec.auc,
        verdict=by_point(areas[1] - areas[0], spec.auc),
        note="the point estimate decides; the interval (DeLong) takes cells for independent",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """Which cells each network gets right."""

    cells: Cells
    float_right: BoolArray
    edge_right: BoolArray

    def paired(self, members: BoolArray, spec: GateSpec) -> PairedDifference:
        names = self.cells.patients
        patients = None if names is None else np.array(names, dtype=np.str_)[members]
        return PairedDifference.of(
            self.float_right[members], self.edge_right[members], patients, spec
        )


def _patients_note(patients: int | None) -> str | None:
    if patients is None or patients >= FEW_PATIENTS:
        return None
    if patients == 1:
        return "one patient of this class says nothing about others: more patients are needed"
    return f"only {patients} patients of this class: the bounds are wide, and still optimistic"


def _chance_note(outcome: "_Outcome", spec: GateSpec) -> str | None:
    """A network that calls all cells alike cannot lose anything, and whatever follows it passes.

    The bound of sensitivity + specificity is that of a sum of independent proportions from their
    Wilson intervals (Newcombe 1998, Statistics in Medicine 17:873, method 10).
    """
    shares, below = 0.0, 0.0
    for members in (outcome.cells.labels, ~outcome.cells.labels):
        right, n = int(outcome.float_right[members].sum()), int(members.sum())
        shares += right / n
        below += (right / n - wilson(right, n, spec.confidence).lower) ** 2
    if shares - math.sqrt(below) > 1:
        return None
    return (
        f"the float network itself is not shown to do better than chance on these cells "
        f"(sensitivity + specificity = {shares:.2f}): little can be lost, and a pass says little"
    )


def _unusable(edge: Scores) -> str | None:
    """Why no rate can be computed."""
    bad = int((~np.isfinite(edge.scores)).sum())
    if bad:
        return f"{bad} of {np.size(edge.scores)} outputs are NaN or infinite"
    if not math.isfinite(edge.threshold):
        return "no decision threshold: its outputs on the validation cells are NaN or infinite"
    return None


def _implausible(scores: FloatArray) -> str | None:
    """Why the outputs, though numbers, are no probabilities of a working network."""
    low, high = float(np.min(scores)), float(np.max(scores))
    if low == high:
        return f"the output is the same for every cell ({low:.6g})"
    if low < -_RANGE or high > 1 + _RANGE:
        return f"the outputs are no probabilities: they lie in {low:.6g}..{high:.6g}"
    return None


def _failed(
    cells: Cells, before: Scores, after: Scores, spec: GateSpec, reason: str
) -> CandidateVerdict:
    """A failure is never a number: what cannot be computed is null."""
    right = before.decisions == cells.labels
    area = roc_auc(cells.labels, before.scores)
    known: tuple[tuple[Metric, float, float, int], ...] = (
        (
            "accuracy",
            float(right.mean()),
            (1 - spec.accuracy_ratio) * float(right.mean()),
            len(cells),
        ),
        ("sensitivity", float(right[cells.labels].mean()), spec.sensitivity, cells.positives),
        ("specificity", float(right[~cells.labels].mean()), spec.specificity, cells.negatives),
        ("auc", area, spec.auc, len(cells)),
    )
    threshold = after.threshold if math.isfinite(after.threshold) else None
    return CandidateVerdict(
        verdict="fail",
        reason=reason,
        checks=tuple(
            Check(metric=metric, n=n, float=value, margin=margin, verdict="fail")
            for metric, value, margin, n in known
        ),
        flips=FlipCounts(),
        auc=Pair(float=area),
        threshold=Pair(float=before.threshold, edge=threshold),
    )
