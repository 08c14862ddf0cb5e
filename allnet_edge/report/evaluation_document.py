"""The whole content of an evaluation, as data: ``evaluation.json``, and what its page is made of.

Nothing here is computed and nothing is formatted. What was not measured is None; NaN and infinity
are refused.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from allnet_edge.measure.performance import Figure, Performance
from allnet_edge.measure.reliability import ReliabilityBin
from allnet_edge.report.document import Count, Part, Share
from allnet_edge.spec.gate import Verdict

Exposure = Literal["unseen", "patients-unknown", "not-proven", "leaking", "validation", "train"]
"""What the network saw of the cells that it is judged on: ``unseen``: no image and no patient, both
proven; ``patients-unknown``: no image, proven, of patients nothing is known; ``not-proven``: it
cannot be shown; ``leaking``: patients stand on both sides; ``validation``: it was chosen, or its
threshold was fitted, on them; ``train``: it was trained on them."""

Kind = Literal["run", "bundle", "pooled"]
Points = tuple[tuple[Share, Share], ...]


class EvaluatedNetwork(Part):
    """What was judged.

    Attributes:
        kind: ``pooled``: several runs, each on cells that it had not seen.
        name: Of its folder.
        network: Of the zoo.
        classes: In the order of its outputs; of two the second is positive.
        engine: Runtime that computed.
        candidate: Of a bundle.
        precision: Of the candidate.
        verdict: Of the candidate's gate; None for a run, or where it was not asked.
        turns: Rotations of each image whose mean logit was taken; 1 is none.
        hashes: SHA-256 of what went in, by name.
    """

    kind: Kind
    name: str
    network: str
    classes: tuple[str, ...] = Field(min_length=2)
    engine: str
    candidate: str | None = None
    precision: str = "fp32"
    verdict: Verdict | None = None
    turns: int = Field(ge=1)
    hashes: dict[str, str]


class EvaluatedCells(Part):
    """What it was judged on.

    Attributes:
        layout: Of the data set: ``cnmc``, ``aria``, ``folders``, ``phantom``.
        index_sha256: Identity of the data set.
        part: Of the split; ``all`` images where there was none.
        protocol: How the split was dealt; None without a split.
        leaking: Patients, or captures beside each other, may stand on both sides.
        why: How the split came about and what that means.
        exposure: See there.
        proven: What was shown about it, one sentence each.
        not_proven: What could not be shown.
        n: Images judged on.
        patients: Of them; None where unknown.
        of_class: Images of each class of the network.
        parts: Images of each part of the split.
    """

    layout: str
    index_sha256: str
    part: str
    protocol: str | None
    leaking: bool
    why: str
    exposure: Exposure
    proven: tuple[str, ...]
    not_proven: tuple[str, ...]
    n: Count
    patients: Count | None
    of_class: dict[str, Count]
    parts: dict[str, Count]

    @property
    def split_in_words(self) -> str:
        """The kind of split, named as leaking where it is."""
        return f"{self.protocol or 'none'}{', LEAKING' if self.leaking else ''}"


class OperatingPoint(Part):
    """How a probability becomes a decision.

    Attributes:
        rule: ``threshold`` on the probability of the positive class, or ``argmax``.
        threshold: None for ``argmax``, and for pooled runs, each of which has its own.
        fitted_on: On which cells.
        n: How many those are; None where that is not known.
        note: What the reader has to know about it.
    """

    rule: Literal["threshold", "argmax"]
    threshold: Share | None
    fitted_on: str
    n: Count | None
    note: str = ""


class ClassCurves(Part):
    """Curves of one class against the rest.

    Attributes:
        name: Of the class.
        roc: (false positive rate, true positive rate), from (0, 0) to (1, 1).
        precision_recall: (recall, precision), from recall 0 to 1.
    """

    name: str
    roc: Points
    precision_recall: Points


class ProbeResult(Part):
    """A classifier that sees nothing but a shortcut, judged as the network is.

    Attributes:
        name: ``size-and-brightness`` or ``background``.
        status: Whether it was measured.
        why: Why not; empty where it was.
        features: What it sees.
        trained_on: Images it was fitted on.
        threshold: As the network's: fitted on validation cells; None for argmax.
        performance: On the very cells of the network.
        roc: For two classes.
        within: Figures in which it reaches the network's interval, or surpasses it.
    """

    name: str
    status: Literal["measured", "not measured", "not applicable"]
    why: str = ""
    features: tuple[str, ...] = ()
    trained_on: Count | None = None
    threshold: Share | None = None
    performance: Performance | None = None
    roc: Points = ()
    within: tuple[str, ...] = ()


class PatientRow(Part):
    """The cells of one patient.

    Attributes:
        label: Class of the data set; several joined by ``+``.
        lower: Of the accuracy: Wilson, two-sided 95 %, over this patient's cells alone.
        upper: Likewise.
        score: Two classes: mean probability of the positive one. More: of the true one.
    """

    patient: str
    label: str
    n: Count
    right: Count
    accuracy: Share
    lower: Share
    upper: Share
    score: Share


class FoldFigures(Part):
    """One of several pooled runs, on its own cells.

    Attributes:
        name: Of the run's folder.
        threshold: Its own; None for argmax.
    """

    name: str
    n: Count
    patients: Count | None
    threshold: Share | None
    figures: dict[str, Figure]


class EvaluationDocument(Part):
    """``evaluation.json``.

    Attributes:
        headline: The answer in one sentence.
        phantom: The cells are synthetic: the figures say nothing about patients.
        performance: The figures with their intervals.
        at_half: Figures of the decision at the threshold 0.5; None where that is no other one, or
            where it was not asked.
        curves: Two classes: of the positive one; more: of each.
        reliability: Bins of the probability (two classes: of the positive one; more: of the class
            decided for).
        probes: Shortcuts, judged beside the network.
        patients: Sorted by accuracy, the lowest first; empty where unknown.
        folds: Of pooled runs.
        warnings: What the reader has to know before relying on a figure.
        versions: Packages that computed.
    """

    schema_version: Literal[1] = 1
    research_use_only: Literal[True] = True
    title: str
    created: datetime
    headline: str
    phantom: bool
    network: EvaluatedNetwork
    cells: EvaluatedCells
    operating_point: OperatingPoint
    performance: Performance
    at_half: dict[str, Figure] | None = None
    curves: tuple[ClassCurves, ...]
    reliability: tuple[ReliabilityBin, ...]
    probes: tuple[ProbeResult, ...]
    patients: tuple[PatientRow, ...] = ()
    folds: tuple[FoldFigures, ...] = ()
    warnings: tuple[str, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def binary(self) -> bool:
        """Whether there are two classes, the second of them positive."""
        return len(self.network.classes) == 2

    def to_json(self) -> str:
        """The text of ``evaluation.json``."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, content: str) -> "EvaluationDocument":
        """Read ``evaluation.json``; raises pydantic's ValidationError."""
        return cls.model_validate_json(content)
