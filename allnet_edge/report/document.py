"""The whole content of a report, as data: what ``report.json`` holds and what gets rendered.

Nothing here is computed and nothing is formatted. A value that was not measured is ``None`` and is
printed as "not measured"; NaN and infinity are refused, so that a failure is never a number.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from allnet_edge.measure.agreement import Direction
from allnet_edge.measure.bench_report import BenchReport
from allnet_edge.measure.gate_report import Check, FlipCounts, GateReport
from allnet_edge.measure.system import Machine
from allnet_edge.report.pruning_document import Pruning
from allnet_edge.report.quantization_document import Quantization
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.gate import Verdict

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Thumbnail = Annotated[
    str, StringConstraints(pattern=r"^data:image/(png|jpeg);base64,[A-Za-z0-9+/]+={0,2}$")
]


class Part(Frozen):
    """The base of everything below: frozen, no unknown key, no NaN, no infinity."""

    model_config = ConfigDict(allow_inf_nan=False)


class Summary(Part):
    """The answer.

    Attributes:
        verdict: Of the whole build.
        sentence: One plain sentence: what was lost, how fast, where measured
            (``report.sentence.verdict_sentence`` writes one).
        chosen: Id of the rung that goes to the device; None where none may.
        why: Why that one, or why none.
    """

    verdict: Verdict
    sentence: str
    chosen: str | None = None
    why: str = ""


class TargetFacts(Part):
    """The device that the build is for; ``kind`` as the target file has it."""

    name: str
    title: str
    kind: str


class DataFacts(Part):
    """Where the cells came from and how they were divided.

    Attributes:
        layout: Of the importer: ``cnmc``, ``aria``, ``folders``, ``phantom``.
        protocol: Of the split: ``patient``, ``block``, ``random``, ``paper``.
        leaking: Cells of one patient, or neighbours in capture order, may lie in several parts.
        why: Why it leaks or does not, in words.
        n: Images of each part.
        patients: Patients of each part; None where patients are unknown.
        index_sha256: Identity of the data set.
        classes: Of the network, in the order of its output.
        positive: Those among ``classes`` that count as positive.
    """

    layout: str
    protocol: str
    leaking: bool
    why: str = ""
    n: dict[str, Count]
    patients: dict[str, Count] | None = None
    index_sha256: str
    classes: tuple[str, ...] = Field(min_length=2)
    positive: tuple[str, ...] = Field(min_length=1)


class Estimate(Part):
    """A share in 0..1 with its two-sided interval; None where the interval is unknown."""

    value: Share
    lower: Share | None = None
    upper: Share | None = None


class Confusion(Part):
    """Cells by truth and decision: positive is what the network looks for."""

    tp: Count
    fn: Count
    tn: Count
    fp: Count


class Rung(Part):
    """One network of the ladder: the float reference or one of its descendants.

    Attributes:
        id: Unique in the report.
        rung: ``keras``, ``onnx``, ``tflite``, ``fp16``, ``int8``, ``pruned`` ...
        n: Cells it was judged on.
        roc: (false positive rate, true positive rate) from (0, 0) to (1, 1); empty where unknown.
        threshold: Of the decision, as a probability.
        verdict: None for the reference, which is what the others are compared with.
        checks: As gate.json has them.
        flips: Against the reference; None for the reference itself.
        max_abs_difference: Largest difference of a probability from the rung before.
        chosen: It goes to the device.
        why: Why it was chosen, set aside or not run.
    """

    id: str
    rung: str
    engine: str
    precision: str
    n: Count
    accuracy: Estimate | None = None
    sensitivity: Estimate | None = None
    specificity: Estimate | None = None
    auc: Estimate | None = None
    confusion: Confusion | None = None
    roc: tuple[tuple[Share, Share], ...] = ()
    threshold: Share | None = None
    verdict: Verdict | None = None
    checks: tuple[Check, ...] = ()
    flips: FlipCounts | None = None
    max_abs_difference: Amount | None = None
    chosen: bool = False
    why: str = ""


class GateFacts(Part):
    """How the comparisons were made.

    Attributes:
        n: Cells of the gate.
        positives: Of them.
        patients: Patients of the gate; None where unknown.
        method: Of the paired intervals, in words.
        confidence: One-sided, of each bound.
        interval_method: Of the two-sided intervals of the ladder's values, in words.
    """

    n: Count
    positives: Count | None = None
    patients: Count | None = None
    method: str
    confidence: Share = 0.95
    interval_method: str = ""

    @classmethod
    def of(cls, report: GateReport, interval_method: str = "") -> "GateFacts":
        """From gate.json."""
        return cls(
            n=report.n,
            positives=report.positives,
            patients=report.patients,
            method=report.method,
            confidence=report.margins.confidence,
            interval_method=interval_method,
        )


class FileSize(Part):
    """Bytes of a file, as it lies there and zipped."""

    file: str
    raw_bytes: Count
    zipped_bytes: Count | None = None


class CompileProof(Part):
    """An ahead-of-time build of a graph that shows that it is legal.

    Attributes:
        sm: Compute capability that it was built for, for instance 86.
        note: What it is not; the default says it.
    """

    graph: str
    sm: int
    ok: bool
    seconds: Amount | None = None
    engine_bytes: Count | None = None
    tool: str
    note: str = "proof that the graph is legal, not a Jetson engine"


class Flip(Part):
    """One cell that a candidate decides otherwise than the float network.

    Attributes:
        id: Of the sample.
        label: Its true class, one of ``DataFacts.classes``.
        float_score: Probability of the float network.
        edge_score: Probability of the candidate.
        candidate: Id of a rung.
        direction: From the decision of the float network to the candidate's.
        thumbnail: PNG or JPEG as a data URI, at most 96 pixels a side.
    """

    id: str
    label: str
    float_score: Share
    edge_score: Share
    candidate: str
    direction: Direction
    thumbnail: Thumbnail | None = None


class StageRecord(Part):
    """One stage of the build; ``key`` is the hash of its inputs, settings and tools."""

    stage: str
    key: str
    parents: tuple[str, ...] = ()
    seconds: Amount | None = None
    skipped: bool = False
    files: Count = 0


class Epoch(Part):
    """One epoch of training, counted from 1; further keys of the record are dropped."""

    model_config = ConfigDict(extra="ignore")

    epoch: int = Field(ge=0)
    loss: float | None = None
    val_loss: float | None = None
    accuracy: float | None = None
    val_accuracy: float | None = None


class Training(Part):
    """How the float network was trained; ``best_epoch`` is the one whose weights were kept."""

    history: tuple[Epoch, ...] = ()
    best_epoch: int | None = None


class ReportDocument(Part):
    """Everything that a report says.

    Attributes:
        created: A time with its zone.
        phantom: The cells are synthetic; every figure's heading says so.
        ladder: The float reference first; each rung's checks and flips are those of gate.json.
        latency: bench.json, or None where nothing was measured.
        machine: That built, from ``measure.system.describe``.
        recipe: Resolved, every default filled in.
    """

    schema_version: Literal[1] = 1
    title: str
    created: datetime
    phantom: bool = False
    verdict: Summary
    target: TargetFacts
    data: DataFacts
    gate: GateFacts | None = None
    ladder: tuple[Rung, ...] = ()
    latency: BenchReport | None = None
    sizes: tuple[FileSize, ...] = ()
    compile_proofs: tuple[CompileProof, ...] = ()
    flips: tuple[Flip, ...] = ()
    pruning: Pruning | None = None
    quantization: Quantization | None = None
    lineage: tuple[StageRecord, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    machine: Machine | None = None
    recipe: dict[str, JsonValue] = Field(default_factory=dict)
    training: Training | None = None
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _refers_to_itself_only(self) -> "ReportDocument":
        known = [rung.id for rung in self.ladder]
        if len(set(known)) != len(known):
            raise ValueError("two rungs of the ladder have one id")
        chosen = [rung.id for rung in self.ladder if rung.chosen]
        if chosen != [name for name in (self.verdict.chosen,) if name is not None]:
            raise ValueError(
                f"verdict.chosen is {self.verdict.chosen}, but the ladder marks {chosen}"
            )
        measured = self.latency.rows if self.latency else ()
        named = {flip.candidate for flip in self.flips} | {row.id for row in measured}
        if strangers := named - set(known):
            raise ValueError(f"flips or latencies of {sorted(strangers)}, not in the ladder")
        return self

    def to_json(self) -> str:
        """The text of ``report.json``."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, content: str) -> "ReportDocument":
        """Read ``report.json``; raises pydantic's ValidationError."""
        return cls.model_validate_json(content)
