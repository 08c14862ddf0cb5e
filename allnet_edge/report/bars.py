"""Latency ranges and file sizes: rows of horizontal bars in per cent of the width."""

from collections.abc import Sequence

from allnet_edge.measure.bench_report import BenchRow
from allnet_edge.report import wording
from allnet_edge.report.document import FileSize
from allnet_edge.report.svg import frame, share, tag, text, ticks, title

_ROW = 46
_FOOT = 40


def slowest(rows: Sequence[BenchRow]) -> float:
    """The end of a scale that all panels share, in milliseconds."""
    return max([*(value for row in rows for value in _known(row)), 0.001]) * 1.05


def _known(row: BenchRow) -> list[float]:
    spans = [*_inference(row), *_end_to_end(row)]
    return [value for value in spans if value is not None]


def _inference(row: BenchRow) -> tuple[float | None, ...]:
    ms = row.latency_ms
    return ms.p50, ms.p90, ms.p95, ms.p99


def _end_to_end(row: BenchRow) -> tuple[float | None, ...]:
    ms = row.end_to_end_ms
    return (None, None) if ms is None else (ms.p50, ms.p99)


def latency(
    rows: Sequence[BenchRow], key: str, longest: float, where: str, *, whole: bool = False
) -> str:
    """One panel: a bar from the median to the 99th percentile for each row.

    Args:
        rows: Of the benchmark.
        key: Unique in the page.
        longest: From ``slowest``.
        where: On which kind of device, for the description.
        whole: From the file to the decision instead of the inference alone.
    """
    spans = [_end_to_end(row) if whole else _inference(row) for row in rows]
    name = "From image file to decision" if whole else "Inference alone"
    told = [f"{row.id}: {_told(span)}" for row, span in zip(rows, spans, strict=True)]
    drawn = [_range(at, rows[at].id, span, longest) for at, span in enumerate(spans)]
    height = _ROW * len(rows) + _FOOT
    return frame(
        key,
        f"{name}, milliseconds a cell",
        f"{where}. " + "; ".join(told),
        _axis(longest, height),
        *drawn,
        class_="fluid",
        width="100%",
        height=height,
    )


def _told(span: Sequence[float | None]) -> str:
    return f"median {wording.milliseconds(span[0])}, p99 {wording.milliseconds(span[-1])}"


def _axis(longest: float, height: int) -> str:
    bottom = height - _FOOT
    parts = [tag("line", x1=0, x2="100%", y1=bottom, y2=bottom, class_="base")]
    for value in ticks(0, longest):
        x = share(value / longest)
        anchor = "start" if value == 0 else "middle"
        parts += [
            tag("line", x1=x, x2=x, y1=4, y2=bottom, class_="grid"),
            text(f"{value:g}", x, bottom + 16, "tick", anchor),
        ]
    return "".join([*parts, text("milliseconds", "50%", height - 6, "axis", "middle")])


def _range(at: int, name: str, span: Sequence[float | None], longest: float) -> str:
    top = _ROW * at
    line = top + 32
    known = [value for value in span if value is not None]
    label = text(_short(name), 0, top + 16, "label")
    if not known:
        return label + text(wording.NOT_MEASURED, "100%", top + 16, "tick", "end")
    first, last = share(known[0] / longest), share(known[-1] / longest)
    notches = [
        tag("line", x1=x, x2=x, y1=line - 5, y2=line + 5, class_="range")
        for x in (share(value / longest) for value in known[1:])
    ]
    return "".join([
        label,
        text(_numbers(span), "100%", top + 16, "halo", "end"),
        tag("line", title(_told(span)), x1=first, x2=last, y1=line, y2=line, class_="range"),
        *notches,
        tag("circle", title(_told(span)), cx=first, cy=line, r=5, class_="median"),
    ])  # fmt: skip


def _numbers(span: Sequence[float | None]) -> str:
    last = wording.milliseconds(span[-1])
    return f"p50 {wording.milliseconds(span[0])} · p99 {last}"


def sizes(files: Sequence[FileSize], key: str) -> str:
    """A bar for the bytes of each file, with the zipped bytes inside it."""
    largest = max([file.raw_bytes for file in files] + [1])
    drawn = [_size(at, file, largest) for at, file in enumerate(files)]
    return frame(
        key,
        "Size of each file",
        "; ".join(f"{file.file}: {_bytes(file)}" for file in files),
        *drawn,
        class_="fluid",
        width="100%",
        height=_ROW * len(files) + 4,
    )


def _bytes(file: FileSize) -> str:
    return f"{wording.size(file.raw_bytes)}, zipped {wording.size(file.zipped_bytes)}"


def _size(at: int, file: FileSize, largest: int) -> str:
    top = _ROW * at
    bars = [
        tag("rect", title(_bytes(file)), x=0, y=top + 24, height=12, rx=2, class_=kind,
            width=share(n / largest))
        for n, kind in ((file.raw_bytes, "raw"), (file.zipped_bytes or 0, "zipped"))
    ]  # fmt: skip
    return "".join([
        text(_short(file.file), 0, top + 16, "label"),
        text(_bytes(file), "100%", top + 16, "halo", "end"),
        *bars,
    ])  # fmt: skip


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else "\N{HORIZONTAL ELLIPSIS}" + name[1 - most :]
