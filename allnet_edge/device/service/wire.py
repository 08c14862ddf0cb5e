"""What goes over the wire: typed, so that the OpenAPI document says it all."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from allnet_edge.device.service.problems import Problem
from allnet_edge.intended import RESEARCH_USE

Kind = Literal["positive", "negative", "other", "none"]
"""How a cell is drawn: ``none`` is not assessed, ``other`` a class where none is positive."""

Key = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""An id of the store."""

Probability = Annotated[float, Field(ge=0, le=1)]


class Wire(BaseModel):
    """Base of all: nothing unknown is passed on."""

    model_config = ConfigDict(extra="forbid")


class CorrectionOut(Wire):
    """The newest word of the operator on a cell."""

    id: int
    cell: int
    at: AwareDatetime
    verdict: Literal["agree", "disagree", "not_a_cell"]
    label: str | None


class CellBase(Wire):
    """What is known of a cell wherever it is shown.

    Attributes:
        box: (x0, y0, x1, y1) in pixels of the field.
        outline: Points (x, y) around it.
        label: On whose side of the threshold it lies; null where the network did not see it.
        probability: Of the positive class; with more than two classes, of ``label``.
        reason: Short name of why it is not assessed; null for an assessed cell.
        shadow: The probability by the model beside, in shadow mode.
    """

    index: int
    kind: Kind
    box: tuple[int, int, int, int]
    outline: list[tuple[int, int]]
    label: str | None
    probability: Probability | None
    reason: str | None
    reason_words: str
    detail: str
    shadow: Probability | None
    stain_distance: float | None


class CellOut(CellBase):
    """A cell of the store.

    Attributes:
        counts_as: The class it counts as with the newest correction; null where it does not count.
        picture: Whether ``/cells/{id}/picture`` has one now.
    """

    id: int
    slide: int
    field: int
    correction: CorrectionOut | None
    counts_as: str | None
    picture: bool


class FieldCellOut(CellBase):
    """A cell of a field just assessed; ``id`` is that of the store."""

    id: int | None


class FieldOut(Wire):
    """One field of view, with every cell of it.

    Attributes:
        picture: Names the picture that it was found in; ``/live/frame.jpg`` has the same name in
            its header ``X-Picture`` while that picture is the newest.
        reason: Short name of why no cell of it was assessed; null for a usable field.
        spans_ms: How long each step took.
    """

    slide: int
    picture: str
    number: int
    name: str
    taken: AwareDatetime
    width: int
    height: int
    reason: str | None
    reason_words: str
    detail: str
    cells: list[FieldCellOut]
    spans_ms: dict[str, float]
    research_use: str = RESEARCH_USE


class SlideOut(Wire):
    """A slide, what it was started with, and how much it holds."""

    id: int
    name: str
    bundle: str
    bundle_sha256: str
    candidate: str
    verdict: str | None
    model: str
    classes: list[str]
    positive: str | None
    phantom: bool
    source: str
    scale: float
    scale_known: str
    versions: dict[str, str]
    threshold: float | None
    shadow: str | None
    state: Literal["running", "ended", "interrupted"]
    started: AwareDatetime
    ended: AwareDatetime | None
    why: str
    duration_s: float | None
    fields: int
    cells: int
    assessed: int
    corrected: int
    research_use: str = RESEARCH_USE


class SlidePage(Wire):
    """Slides, the newest first; ``next`` is the ``before`` of the next page."""

    items: list[SlideOut]
    next: int | None


class CellPage(Wire):
    """Cells of a slide; ``total`` counts all of them."""

    items: list[CellOut]
    total: int


class Figures(Wire):
    """A slide in figures.

    Attributes:
        sentence: The same in words.
        labels: Assessed cells of each class.
        positive: Assessed cells of the positive class; null where no class is.
        share: ``positive`` of ``assessed``; null where nothing was assessed.
        interval: Of ``share``, 95 %, with fields as clusters; null where there is none.
        not_assessed: Cells by reason, in words.
        refused: Fields that were not assessed as a whole.
        left_out: Cells found that were not assessed.
        abstention: Their share of the cells found; null without cells.
        warnings: What a reader should know, in whole sentences.
    """

    sentence: str
    fields: int
    refused: int
    assessed: int
    labels: dict[str, int]
    positive: int | None
    share: float | None
    interval: tuple[float, float] | None
    not_assessed: dict[str, int]
    left_out: int
    abstention: float | None
    warnings: list[str]


class SummaryOut(Wire):
    """A slide's summary: by the model alone, and with the operator's corrections."""

    slide: int
    model: Figures
    corrected: Figures
    research_use: str = RESEARCH_USE


class CameraOut(Wire):
    """What the camera says of itself."""

    source: str
    kind: str
    width: int | None
    height: int | None
    rate_hz: float | None
    exposure: str


class LiveOut(Wire):
    """The camera and the work behind it.

    Attributes:
        counters: Frames by what became of them; ``read`` is the sum of all but ``assessed``.
        latency_p50_ms: From a frame's arrival until its result was on disk.
        problem: What holds up the work.
    """

    state: Literal["idle", "running", "camera lost", "finished", "failed"]
    camera: CameraOut
    counters: dict[str, int]
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    spans_ms: dict[str, float]
    compared: int
    disagreed: int
    problem: Problem | None


class CalibrationOut(Wire):
    """Training pixels for one of the camera, and how that is known."""

    scale: float
    known: str


class StatusOut(Wire):
    """How the server stands.

    Attributes:
        state: ``starting`` while the bundle is verified; ``failed`` where that failed.
        slide: The open one.
        live: Null without a camera: then fields are uploaded.
        warnings: Whole sentences.
        login: Whether a token is asked for here.
    """

    state: Literal["starting", "ready", "failed"]
    problem: Problem | None
    version: str
    uptime_s: float
    research_use: str = RESEARCH_USE
    research_note: str
    login: bool
    slide: SlideOut | None
    live: LiveOut | None
    capture: str
    calibration: CalibrationOut | None
    warnings: list[str]
    readers: int


class CandidateOut(Wire):
    """The candidate that decides."""

    id: str
    engine: str
    precision: str
    verdict: str | None
    chosen: bool
    why: str


class ThresholdOut(Wire):
    """From a probability to a class; within ``abstain``, ends included, a person decides."""

    threshold: Probability
    fitted_on: str
    abstain: tuple[Probability, Probability] | None


class DataOut(Wire):
    """Where the training cells come from."""

    layout: str
    split: str
    leaking: bool


class BundleOut(Wire):
    """The bundle in use.

    Attributes:
        gate: What the gate said, in one sentence; empty where it was not asked.
        golden: What came of the golden tensors when the server started.
        note: Why it is not the bundle's first choice; empty where it is.
    """

    name: str
    sha256: str
    model: str
    target: str
    created: str
    classes: list[str]
    positive: str | None
    phantom: bool
    leaking: bool
    data: DataOut | None
    candidate: CandidateOut
    note: str
    shadow: str | None
    threshold: ThresholdOut
    gate: str
    golden: str
    versions: dict[str, str]
    research_use: str = RESEARCH_USE


class NewSlideIn(Wire):
    """A slide to be started."""

    name: str = Field(
        default="", max_length=120, description="The operator's name of it; no data of a patient."
    )


class CorrectionIn(Wire):
    """What the operator says about a cell; a newer word replaces it."""

    verdict: Literal["agree", "disagree", "not_a_cell"]
    label: str | None = Field(
        default=None,
        max_length=200,
        description="The class that it is, with ``disagree``; may be left out with two classes.",
    )


class CapturedOut(Wire):
    """The next frame will be a field."""

    asked: Literal[True] = True
