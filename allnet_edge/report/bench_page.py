"""bench.html: one self-contained page about one benchmark, written without a template engine.

A device has no jinja2; the page is small, so it is put together from the same elements as the
plots. It asks no other host for anything.
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from allnet_edge.intended import RESEARCH_USE
from allnet_edge.measure.bench_report import BenchReport, BenchRow
from allnet_edge.measure.one_process import END_TO_END
from allnet_edge.measure.raw_samples import RawRun, read_samples
from allnet_edge.report.bench_plots import SERIES, distribution, supported_note, timeline
from allnet_edge.report.bench_style import PAGE, PLOT
from allnet_edge.report.svg import tag

NOT_MEASURED = "not measured"


def bench_plots(report: BenchReport, folder: Path) -> dict[str, str]:
    """Drawings that stand alone, by file name without its end; none where nothing was measured.

    Args:
        report: Of the benchmark.
        folder: Where its files of raw samples are.
    """
    drawn = {"latency_cdf": "", "latency_timeline": ""}
    raw = _raw(report, folder)
    if not raw:
        return {}
    drawn["latency_cdf"] = _alone(_cdf(raw))
    drawn["latency_timeline"] = _alone(timeline(raw))
    return drawn


def bench_page(report: BenchReport, folder: Path) -> str:
    """The page.

    Args:
        report: Of the benchmark.
        folder: Where its files of raw samples are.
    """
    raw = _raw(report, folder)
    figures = [_section("Distribution", _legend(raw), _cdf(raw))] if raw else []
    figures += [_section("Over time", timeline(raw))] if raw else []
    whole = _whole(report, folder)
    if whole:
        figures.append(
            _section(
                "From image file to decision",
                _spans(report.rows),
                _legend(whole),
                distribution({n: [r.ms for r in runs] for n, runs in whole.items()}, "cdf-whole"),
            )
        )
    body = "".join([
        tag("p", RESEARCH_USE, class_="research"),
        tag("h1", escape(_headline(report))),
        _verdict(report),
        _section("Latency", _table(report)),
        *figures,
        _section("Power, heat and clocks", _sensors(report.rows)),
        _section("Where and how", _facts(report)),
    ])  # fmt: skip
    head = "".join([
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        tag("title", escape(_headline(report))),
        tag("style", PAGE + PLOT),
    ])  # fmt: skip
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _headline(report: BenchReport) -> str:
    what = f" of {report.bundle}" if report.bundle else ""
    return f"Latency{what} on {report.device.model}: {report.scenario}, {report.mode}"


def _raw(report: BenchReport, folder: Path) -> dict[str, list[RawRun]]:
    """The scenario's own run of every process."""
    return {
        row.id: [next(iter(read_samples(folder / file)[1].values())) for file in row.samples]
        for row in report.rows
        if row.samples
    }


def _whole(report: BenchReport, folder: Path) -> dict[str, list[RawRun]]:
    if report.scenario != "single-stream":
        return {}
    found = {
        row.id: [read_samples(folder / file)[1].get(END_TO_END) for file in row.samples]
        for row in report.rows
    }
    return {
        name: [run for run in runs if run is not None] for name, runs in found.items() if any(runs)
    }


def _cdf(raw: Mapping[str, Sequence[RawRun]]) -> str:
    return distribution({name: [run.ms for run in runs] for name, runs in raw.items()})


def _alone(drawing: str) -> str:
    """A drawing as a file of its own: with its name space and its colours."""
    opened = drawing.index(">") + 1
    start = drawing[:opened].replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f"{start}{tag('style', PLOT)}{drawing[opened:]}\n"


def _section(name: str, *content: str) -> str:
    return tag("section", tag("h2", escape(name)), *content)


def _verdict(report: BenchReport) -> str:
    parts = []
    if report.device.device_class == "host-proxy":
        parts.append(
            tag("p", "Measured on a host, not on a device: these figures compare candidates with "
                "each other and say nothing absolute about a device.", class_="note")
        )  # fmt: skip
    if not report.valid:
        reasons = "".join(tag("li", escape(reason)) for reason in report.why_invalid)
        parts.append(
            tag("div", tag("b", "INVALID: these figures cannot be trusted."), tag("ul", reasons),
                class_="invalid")
        )  # fmt: skip
    if report.remarks:
        parts.append(
            tag("ul", *(tag("li", escape(text)) for text in report.remarks), class_="notes")
        )
    return "".join(parts)


def _table(report: BenchReport) -> str:
    heads = (
        "candidate", "gate", "n", "p50", "p90", "p95", "p99", "max", "CoV", "first query", "load",
        "file to decision p50", "p99", "images a second", "peak MiB", "MB", "zipped MB",
    )  # fmt: skip
    rows = [_row(row) for row in report.rows]
    rows += [
        tag("tr", tag("th", escape(one.id)), tag("td", f"{NOT_MEASURED}: {escape(one.why)}",
            colspan=len(heads) - 1))
        for one in report.not_measured
    ]  # fmt: skip
    notes = "; ".join(dict.fromkeys(supported_note(row.n) for row in report.rows))
    return tag("div", _grid(heads, rows), class_="scroll") + tag(
        "p", escape(f"Milliseconds unless said otherwise. {notes}."), class_="muted"
    )


def _row(row: BenchRow) -> str:
    ms, whole = row.latency_ms, row.end_to_end_ms
    cells = [
        row.verdict, f"{row.n:,}", *map(_ms, (ms.p50, ms.p90, ms.p95, ms.p99, ms.max)),
        "n/a" if ms.cov is None else f"{100 * ms.cov:.1f} %", _ms(row.first_ms), _ms(row.load_ms),
        NOT_MEASURED if whole is None else _ms(whole.p50),
        NOT_MEASURED if whole is None else _ms(whole.p99),
        _number(row.throughput_per_s), _number(row.peak_rss_mb), _number(row.size_mb),
        _number(row.zipped_mb),
    ]  # fmt: skip
    return tag("tr", tag("th", escape(row.id)), *(tag("td", escape(cell)) for cell in cells))


def _spans(rows: Sequence[BenchRow]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row.spans_ms))
    heads = ("candidate", *(f"{name.replace('_', ' ')} p50 (p99)" for name in names))
    lines = []
    for row in rows:
        cells = []
        for name in names:
            span = row.spans_ms.get(name)
            cells.append("none" if span is None else f"{_ms(span.p50)} ({_ms(span.p99)})")
        lines.append(tag("tr", tag("th", escape(row.id)), *(tag("td", cell) for cell in cells)))
    return tag("div", _grid(heads, lines), class_="scroll")


def _sensors(rows: Sequence[BenchRow]) -> str:
    heads = ("candidate", "power", "above idle", "a query", "hottest", "clocks", "throttled")
    lines = []
    for row in rows:
        power = row.power
        hottest = max(row.temperatures_c.items(), key=lambda item: item[1].max, default=None)
        clocks = ", ".join(
            f"{name} {span.min:.0f} to {span.max:.0f} MHz" for name, span in row.clocks_mhz.items()
        )
        above = None if power is None else power.mj_per_query_above_idle
        cells = [
            NOT_MEASURED if power is None else f"{power.total_mw / 1000:.2f} W",
            NOT_MEASURED if above is None else f"{above:.3g} mJ a query",
            NOT_MEASURED if power is None else f"{power.mj_per_query:.3g} mJ",
            NOT_MEASURED if hottest is None else f"{hottest[1].max:.0f} C ({hottest[0]})",
            clocks or NOT_MEASURED,
            NOT_MEASURED if row.throttled is None else ", ".join(row.throttled) or "no",
        ]
        lines.append(
            tag("tr", tag("th", escape(row.id)), *(tag("td", escape(cell)) for cell in cells))
        )
    return tag("div", _grid(heads, lines), class_="scroll")


def _facts(report: BenchReport) -> str:
    device, asked = report.device, report.input
    known: dict[str, object] = {
        "device": f"{device.model} ({device.device_class})", "processor": device.cpu,
        "usable cores": device.usable_cores, "memory": f"{device.memory_mb} MiB",
        "system": device.os, "kernel": device.kernel, "Jetson Linux": device.l4t,
        "governor": device.governor, "Python": device.python, **device.packages,
        **({} if report.conditions is None else report.conditions.model_dump()),
        "bundle": report.bundle_sha256, "tool": report.tool_version, "started": report.started,
        "seed": report.seed,
        "input": asked and f"{asked.images} images, {asked.pixels}: {asked.source}",
        "input sha256": None if asked is None else asked.sha256,
    }  # fmt: skip
    rows = [
        tag("tr", tag("th", escape(str(name).replace("_", " "))), tag("td", escape(str(value))))
        for name, value in known.items()
        if value is not None
    ]
    return tag("div", tag("table", *rows), class_="scroll")


def _legend(raw: Mapping[str, object]) -> str:
    items = [tag("li", _swatch(at), escape(name)) for at, name in enumerate(raw)]
    return tag("ul", *items, class_="legend")


def _swatch(at: int) -> str:
    line = tag("line", x1=0, x2=28, y1=5, y2=5, class_=f"series s{at % SERIES}")
    return tag("svg", line, width=28, height=10, aria_hidden="true")


def _grid(heads: Sequence[str], rows: Sequence[str]) -> str:
    top = tag("thead", tag("tr", *(tag("th", escape(head)) for head in heads)))
    return tag("table", top, tag("tbody", *rows))


def _ms(value: float | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:.1f}" if value >= 100 else f"{value:.3g}"


def _number(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
