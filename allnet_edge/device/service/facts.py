"""From what the microscope side knows to what goes over the wire."""

import math
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from allnet_edge.artifacts.files import read_json
from allnet_edge.device.fields.results import CellResult, FieldResult, Reason
from allnet_edge.device.fields.summary import SlideSummary, summarise
from allnet_edge.device.live.status import LiveStatus
from allnet_edge.device.service import wire
from allnet_edge.device.service.problems import Problem, Refusal
from allnet_edge.device.service.workbench import Workbench
from allnet_edge.device.session import Session
from allnet_edge.device.store.export import notes
from allnet_edge.device.store.records import StoredCell, StoredSlide
from allnet_edge.errors import AllnetEdgeError, IntegrityError
from allnet_edge.intended import RESEARCH_USE

GATE = "reports/gate.json"


def kind_of(label: str | None, reason: Reason | None, positive: str | None) -> wire.Kind:
    """How a cell is drawn."""
    if reason is not None or label is None:
        return "none"
    if positive is None:
        return "other"
    return "positive" if label == positive else "negative"


def finite(value: float | None) -> float | None:
    """JSON has no word for what is not finite."""
    return value if value is not None and math.isfinite(value) else None


def slide_out(slide: StoredSlide) -> wire.SlideOut:
    """A slide of the store."""
    return wire.SlideOut.model_validate(slide.to_json())


def cell_out(cell: StoredCell, positive: str | None, *, picture: bool) -> wire.CellOut:
    """A cell of the store; ``picture``: whether there is one now."""
    said = cell.correction
    return wire.CellOut(
        id=cell.id,
        slide=cell.slide,
        field=cell.field,
        index=cell.index,
        kind=kind_of(cell.label, cell.reason, positive),
        box=cell.box,
        outline=list(cell.outline),
        label=cell.label,
        probability=finite(cell.probability),
        reason=None if cell.reason is None else cell.reason.name,
        reason_words="" if cell.reason is None else cell.reason.value,
        detail=cell.detail,
        shadow=finite(cell.shadow),
        stain_distance=finite(cell.stain_distance),
        correction=None if said is None else wire.CorrectionOut.model_validate(said.to_json()),
        counts_as=cell.counts_as,
        picture=picture,
    )


def field_out(
    slide: int, picture: str, result: FieldResult, ids: Sequence[int], positive: str | None
) -> wire.FieldOut:
    """A field just assessed."""
    known: Sequence[int | None] = ids or [None] * len(result.cells)
    return wire.FieldOut(
        slide=slide,
        picture=picture,
        number=result.number,
        name=result.name,
        taken=result.taken,
        width=result.width,
        height=result.height,
        reason=None if result.reason is None else result.reason.name,
        reason_words="" if result.reason is None else result.reason.value,
        detail=result.detail,
        cells=[_cell(cell, key, positive) for cell, key in zip(result.cells, known, strict=True)],
        spans_ms={name: ns / 1e6 for name, ns in result.spans_ns.items()},
    )


def _cell(cell: CellResult, key: int | None, positive: str | None) -> wire.FieldCellOut:
    return wire.FieldCellOut(
        id=key,
        index=cell.index,
        kind=kind_of(cell.label, cell.reason, positive),
        box=cell.box,
        outline=list(cell.outline),
        label=cell.label,
        probability=finite(cell.probability),
        reason=None if cell.reason is None else cell.reason.name,
        reason_words="" if cell.reason is None else cell.reason.value,
        detail=cell.detail,
        shadow=finite(cell.shadow),
        stain_distance=finite(cell.stain_distance),
    )


def summary_out(bench: Workbench, slide: StoredSlide) -> wire.SummaryOut:
    """A slide's summary, with the notes that belong to it."""
    facts = slide.facts

    said = [one for one in notes(slide) if one != RESEARCH_USE]

    def figures(*, corrected: bool) -> wire.Figures:
        counts = bench.store.counts(slide.id, corrected=corrected)
        return _figures(summarise(counts, facts.positive, facts.classes), said)

    return wire.SummaryOut(
        slide=slide.id, model=figures(corrected=False), corrected=figures(corrected=True)
    )


def _figures(found: SlideSummary, said: Sequence[str]) -> wire.Figures:
    first = None if found.positive is None else found.classes.get(found.positive)
    # One field says nothing of others: its interval is from 0 to 1.
    interval = (
        None
        if first is None or first.lower is None or first.upper is None or first.fields < 2
        else (first.lower, first.upper)
    )
    return wire.Figures(
        sentence=found.sentence,
        fields=found.fields,
        refused=sum(found.refused.values()),
        assessed=found.assessed,
        labels={name: share.count for name, share in found.classes.items()},
        positive=None if first is None else first.count,
        share=None if first is None else first.share,
        interval=interval,
        not_assessed={reason.value: share.count for reason, share in found.reasons.items()},
        left_out=found.not_assessed.count,
        abstention=found.not_assessed.share,
        warnings=[
            *said,
            *([found.drift.in_words] if found.drift.direction in {"rose", "fell"} else []),
        ],
    )


def bundle_out(bench: Workbench) -> wire.BundleOut:
    """The bundle in use."""
    session = bench.session
    manifest, candidate, rule = session.bundle.manifest, session.candidate, session.threshold
    shadow = bench.assessor.shadow
    data = manifest.data
    return wire.BundleOut(
        name=manifest.name,
        sha256=session.bundle.sha256,
        model=manifest.model,
        target=manifest.target,
        created=manifest.created,
        classes=list(manifest.classes),
        positive=manifest.positive,
        phantom=manifest.phantom,
        leaking=data is not None and data.leaking,
        data=None
        if data is None
        else wire.DataOut(layout=data.layout, split=data.split, leaking=data.leaking),
        candidate=wire.CandidateOut(
            id=candidate.id,
            engine=candidate.engine,
            precision=candidate.precision,
            verdict=candidate.verdict,
            chosen=candidate.chosen,
            why=candidate.why,
        ),
        note=session.note,
        shadow=None if shadow is None else shadow.candidate.id,
        threshold=wire.ThresholdOut(
            threshold=rule.threshold, fitted_on=rule.fitted_on, abstain=rule.abstain
        ),
        gate=_gate(session),
        golden="match",  # else the server would not have started
        versions=versions(),
    )


def _gate(session: Session) -> str:
    """On how many cells of how many patients the candidate was judged."""
    if GATE not in session.bundle.manifest.files:
        return ""
    try:
        report = read_json(session.bundle.path(GATE))
    except IntegrityError:
        return ""
    if not isinstance(report, dict) or not isinstance(report.get("n"), int):
        return ""
    patients = report.get("patients")
    of = f" of {patients} patients" if isinstance(patients, int) and patients else ""
    return f"Judged on {report['n']} cells{of} that took no part in training."


@cache
def versions() -> dict[str, str]:
    """Of this program and of what it runs on."""
    found = {"allnet-edge": version("allnet-edge"), "Python": python_version()}
    for package in ("ai-edge-litert", "onnxruntime", "opencv-python-headless", "numpy"):
        installed = _version(package)
        if installed is not None:
            found[package] = installed
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # not every device has every runtime
        return None


def live_out(bench: Workbench, status: LiveStatus) -> wire.LiveOut:
    """The camera and the work behind it."""
    camera, counters = status.camera, status.counters
    error = None if bench.live is None else bench.live.error
    return wire.LiveOut(
        state=status.state,
        camera=wire.CameraOut(
            source=camera.source,
            kind=camera.kind,
            width=camera.width,
            height=camera.height,
            rate_hz=finite(camera.rate_hz),
            exposure=camera.exposure,
        ),
        counters={name: int(getattr(counters, name)) for name in counters.__slots__},
        latency_p50_ms=status.latency_ms.get("p50"),
        latency_p99_ms=status.latency_ms.get("p99"),
        spans_ms=dict(status.spans_ms),
        compared=status.compared,
        disagreed=status.disagreed,
        problem=None if error is None else problem_of(error),
    )


def problem_of(error: BaseException) -> Problem:
    """What went wrong, in the words of our tree where it is of it."""
    if isinstance(error, AllnetEdgeError):
        return Refusal.of(error).problem
    return Problem(
        title="Internal Server Error", status=500, detail=f"a bug: {type(error).__name__}: {error}"
    )


def warnings_of(bench: Workbench, status: LiveStatus | None) -> list[str]:
    """What a person should know now, in whole sentences."""
    notes = bench.assessor.notes if status is None else status.warnings
    return [_sentence(one) for one in notes]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"
