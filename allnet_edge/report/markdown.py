"""A report document as short Markdown, for a pull request or a terminal."""

import re
from collections.abc import Sequence

from allnet_edge.intended import RESEARCH_USE
from allnet_edge.measure.bench_report import BenchReport
from allnet_edge.measure.gate_report import Check
from allnet_edge.report import wording
from allnet_edge.report.document import Estimate, ReportDocument, Rung

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def render_markdown(document: ReportDocument) -> str:
    """Render the report: verdict, ladder, checks of the gate, latency, flips, warnings.

    Names of classes, files and networks are the user's, so Markdown's own signs are escaped.
    """
    blocks = [
        f"# {_safe(document.title)}",
        f"_{RESEARCH_USE}_",
        *_phantom(document),
        f"**{wording.verdict_word(document.verdict.verdict)}**",
        _safe(document.verdict.sentence),
        _safe(document.verdict.why),
        *[f"- warning: {_safe(warning)}" for warning in document.warnings],
        "## Ladder",
        _ladder(document.ladder),
        *_intervals(document),
        "## Gate",
        _checks(document.ladder),
        "## Latency",
        *_latency(document),
        "## Data",
        _data(document),
        f"_{RESEARCH_USE}_",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _safe(content: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(content.split()))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _phantom(document: ReportDocument) -> list[str]:
    if not document.phantom:
        return []
    return ["**Phantom data**: the cells are synthetic; no figure here speaks of patients."]


def _ladder(ladder: Sequence[Rung]) -> str:
    if not ladder:
        return wording.NOT_MEASURED
    head = [
        "network", "verdict", "n", "accuracy", "sensitivity", "specificity", "AUC",
        "flips + to -", "flips - to +", "largest difference",
    ]  # fmt: skip
    return _table(head, [_ladder_row(rung) for rung in ladder])


def _ladder_row(rung: Rung) -> list[str]:
    name = f"**{_safe(rung.id)}** (chosen)" if rung.chosen else _safe(rung.id)
    flips = rung.flips
    return [
        name,
        wording.verdict_word(rung.verdict),
        wording.count(rung.n),
        *(_percent(estimate) for estimate in (rung.accuracy, rung.sensitivity, rung.specificity)),
        _area(rung.auc),
        _flips(rung, flips.positive_to_negative if flips else None),
        _flips(rung, flips.negative_to_positive if flips else None),
        wording.scientific(rung.max_abs_difference),
    ]


def _percent(estimate: Estimate | None) -> str:
    if estimate is None:
        return wording.NOT_MEASURED
    return f"{wording.percent(estimate.value)} ({wording.percent_interval(estimate)})"


def _area(estimate: Estimate | None) -> str:
    if estimate is None:
        return wording.NOT_MEASURED
    return f"{wording.area(estimate.value)} ({wording.area_interval(estimate)})"


def _flips(rung: Rung, n: int | None) -> str:
    return "reference" if rung.verdict is None and rung.flips is None else wording.count(n)


def _intervals(document: ReportDocument) -> list[str]:
    gate = document.gate
    if gate is None:
        return []
    patients = wording.count(gate.patients) if gate.patients is not None else "unknown"
    return [f"Gate: {gate.n:,} cells, patients {patients}, {_safe(gate.method)}."]


def _checks(ladder: Sequence[Rung]) -> str:
    rows = [_check_row(rung, check) for rung in ladder for check in rung.checks]
    if not rows:
        return wording.NOT_MEASURED
    head = ["network", "metric", "float", "edge", "difference", "bound", "demanded", "verdict"]
    return _table(head, rows)


def _check_row(rung: Rung, check: Check) -> list[str]:
    return [
        _safe(rung.id),
        _safe(check.metric),
        wording.check_value(check, check.float),
        wording.check_value(check, check.edge),
        wording.check_change(check, check.delta),
        wording.check_change(check, check.lower),
        wording.check_limit(check),
        wording.verdict_word(check.verdict),
    ]


def _latency(document: ReportDocument) -> list[str]:
    latency = document.latency
    if latency is None:
        return [wording.NOT_MEASURED]
    where = wording.device_class(latency.device.device_class, document.target)
    told = f"{_safe(where)} ({latency.mode}, {latency.scenario})."
    if not latency.valid:
        return [told, f"**Invalid**: {_safe('; '.join(latency.why_invalid))}"]
    notes = [f"{item.id} {wording.NOT_MEASURED}: {item.why}" for item in latency.not_measured]
    notes += latency.remarks
    return [told, _latency_table(latency), "\n".join(f"- {_safe(note)}" for note in notes)]


def _latency_table(latency: BenchReport) -> str:
    head = ["network", "n", "p50", "p90", "p95", "p99", "end to end p50", "gate"]
    rows = []
    for row in latency.rows:
        ms, whole = row.latency_ms, row.end_to_end_ms
        figures = (ms.p50, ms.p90, ms.p95, ms.p99, whole.p50 if whole else None)
        told = [wording.milliseconds(figure) for figure in figures]
        gate = wording.verdict_word(row.verdict)
        rows.append([_safe(row.id), wording.count(row.n), *told, gate])
    return _table(head, rows)


def _data(document: ReportDocument) -> str:
    data = document.data
    parts = ", ".join(f"{_safe(part)} {n:,}" for part, n in data.n.items())
    leak = f"; leaking: {_safe(data.why)}" if data.leaking else ""
    return f"{_safe(data.layout)}, split by {_safe(data.protocol)}{leak}. Cells: {parts}."
