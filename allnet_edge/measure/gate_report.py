"""The document gate.json: what was judged, how, and with what outcome."""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from allnet_edge.measure.cells import Cells
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.gate import GateSpec, Verdict

Metric = Literal["accuracy", "sensitivity", "specificity", "auc"]
Number: TypeAlias = float  # inside a class with a field of that name, `float` is the field

METHOD_PATIENTS = (
    "the wider of the patient-cluster bootstrap and Tango's score interval at the effective "
    "number of cells"
)
METHOD_CELLS = "Tango's score interval for paired proportions (patients unknown)"


class Pair(Frozen):
    """One figure of both networks; ``edge`` is null where it could not be computed."""

    float: Number
    edge: Number | None = None


class FlipCounts(Frozen):
    """Decisions that changed, counted by their direction; null where they could not be computed."""

    positive_to_negative: int | None = None
    negative_to_positive: int | None = None


class Check(Frozen):
    """One metric of one candidate. Figures are null where they could not be computed.

    Attributes:
        metric: What was compared.
        n: Cells it was computed on (of the one class, for sensitivity and specificity).
        patients: Patients of these cells, null where unknown.
        float: The float network's figure, 0..1.
        edge: The candidate's.
        delta: edge - float.
        lower: One-sided lower bound of delta.
        upper: One-sided upper bound of delta.
        margin: Largest allowed drop, in the unit of delta.
        verdict: Of this check.
        needed: When inconclusive, how many cells of this class would decide if they flipped at the
            rates seen; null where no practical number would.
        note: What the reader has to know about these figures.
    """

    metric: Metric
    n: int
    patients: int | None = None
    float: Number
    edge: Number | None = None
    delta: Number | None = None
    lower: Number | None = None
    upper: Number | None = None
    margin: Number
    verdict: Verdict
    needed: int | None = None
    note: str | None = None

    def sentence(self) -> str:
        """The check in one line for a message or a table."""
        if self.delta is None or self.lower is None or self.upper is None:
            return f"{self.metric}: not computed"
        text = (
            f"{self.metric} {self.float:.4f} -> {self.edge:.4f} "
            f"({self.delta:+.4f}, bounds {self.lower:+.4f}..{self.upper:+.4f}, "
            f"allowed -{self.margin:.4f}): {self.verdict}"
        )
        return text if self.needed is None else f"{text}; {self.needed} cells would decide"


class CandidateVerdict(Frozen):
    """The outcome for one candidate.

    Attributes:
        verdict: fail if any check fails, else inconclusive if any is, else pass.
        reason: Why a candidate fails whatever its checks say (outputs that are NaN, constant, ...).
        checks: Accuracy, sensitivity, specificity, ROC area.
        flips: Decisions that changed.
        auc: ROC areas.
        threshold: Decision thresholds that were judged.
    """

    verdict: Verdict
    reason: str | None = None
    checks: tuple[Check, ...]
    flips: FlipCounts
    auc: Pair
    threshold: Pair


class GateCandidate(CandidateVerdict):
    """A verdict with the artifact that it is about.

    Attributes:
        id: Of the candidate, unique in the bundle.
        engine: Runtime: ``litert``, ``onnx``, ``tensorrt``, ...
        precision: ``fp32``, ``fp16``, ``int8``, ...
    """

    id: str
    engine: str
    precision: str

    @classmethod
    def of(
        cls, verdict: CandidateVerdict, candidate: str, *, engine: str, precision: str
    ) -> "GateCandidate":
        """Name the artifact ``candidate`` that was judged."""
        parts = {name: getattr(verdict, name) for name in CandidateVerdict.model_fields}
        return cls(id=candidate, engine=engine, precision=precision, **parts)


class GateReport(Frozen):
    """gate.json.

    Attributes:
        verdict: pass if at least one candidate passes (only such a one is deployed), else
            inconclusive if any is, else fail.
        n: Held-out cells.
        positives: Of them.
        patients: Null where unknown.
        method: How the bounds were found.
        split: Kind of split that the cells come from: ``patient``, ``block``, ``random``, ...
        leaking: Whether that split lets one patient stand on both sides: comparison only.
        margins: The settings that were judged by.
        candidates: One a compressed network.
    """

    verdict: Verdict
    n: int
    positives: int
    patients: int | None
    method: str
    split: str
    leaking: bool
    margins: GateSpec
    candidates: tuple[GateCandidate, ...]

    @classmethod
    def of(
        cls,
        cells: Cells,
        spec: GateSpec,
        candidates: Sequence[GateCandidate],
        *,
        split: str,
        leaking: bool,
    ) -> "GateReport":
        """Put the candidates' verdicts on these cells together."""
        return cls(
            verdict=best(candidate.verdict for candidate in candidates),
            n=len(cells),
            positives=cells.positives,
            patients=cells.patient_count,
            method=METHOD_CELLS if cells.patients is None else METHOD_PATIENTS,
            split=split,
            leaking=leaking,
            margins=spec,
            candidates=tuple(candidates),
        )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Of all checks of a candidate: every one has to pass."""
    seen = set(verdicts)
    if "fail" in seen:
        return "fail"
    return "inconclusive" if "inconclusive" in seen else "pass"


def best(verdicts: Iterable[Verdict]) -> Verdict:
    """Of all candidates: one that passes is enough. Without any candidate nothing was proven."""
    seen = set(verdicts)
    if "pass" in seen:
        return "pass"
    return "inconclusive" if "inconclusive" in seen else "fail"


def shortfalls(report: GateReport) -> tuple[str, ...]:
    """One line for each candidate that did not pass, with the checks that it did not pass."""
    return tuple(f"{c.id}: {_why(c)}" for c in report.candidates if c.verdict != "pass")


def _why(candidate: GateCandidate) -> str:
    if candidate.reason:
        return candidate.reason
    return "; ".join(c.sentence() for c in candidate.checks if c.verdict != "pass")


def advice(report: GateReport) -> str | None:
    """What to do where no candidate passed: for `inconclusive` how many cells would decide."""
    if report.verdict == "pass":
        return None
    if report.verdict == "fail":
        return "try a higher precision or prune less"
    return _more_cells(report)


def _more_cells(report: GateReport) -> str:
    """What would decide for the candidate that is nearest to a decision."""
    options = [
        [check for check in candidate.checks if check.verdict == "inconclusive"]
        for candidate in report.candidates
        if candidate.verdict == "inconclusive"
    ]
    decidable = [checks for checks in options if all(c.needed is not None for c in checks)]
    if not decidable:
        return "hold out cells of more patients, or allow a larger drop on purpose (--max-drop)"
    nearest = min(decidable, key=lambda checks: max(c.needed or 0 for c in checks))
    parts = [f"{c.needed} cells for {c.metric} (now {c.n})" for c in nearest]
    return f"hold out more cells: about {' and '.join(parts)} would decide"
