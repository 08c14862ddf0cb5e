"""How ``bench`` shows what goes on, and what came of it."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rich.console
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table

from allnet_edge.cli.views.phantom import PHANTOM
from allnet_edge.device.bench.job import Tick
from allnet_edge.device.bench.run import Follow, unfollowed
from allnet_edge.measure.bench_report import BenchReport, BenchRow
from allnet_edge.measure.sensors.readings import Reading

NOT_MEASURED = "not measured"
_PLAIN_SECONDS = 10.0
_BLOCKS = "".join(map(chr, range(0x2581, 0x2589)))  # an eighth of a block to a whole one
_HISTORY = 40


@contextmanager
def following(*, quiet: bool) -> Iterator[Follow]:
    """Show a measurement on stderr: a live table in a terminal, a line now and then elsewhere."""
    console = rich.console.Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
    if quiet:
        yield unfollowed
    elif console.is_terminal:
        board = Board()
        # Drawn seldom: on two cores the drawing itself would be "other load".
        with Live(get_renderable=board.table, console=console, refresh_per_second=1):
            yield board.follow
    else:
        yield Lines(console).follow


class Board:
    """The live table: one line a candidate, with the recent medians as a small curve."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[int, Tick, Reading]] = {}
        self._history: dict[str, list[float]] = {}

    def follow(self, candidate: str, process: int, tick: Tick, reading: Reading) -> None:
        """Keep what is told."""
        self._lines[candidate] = (process, tick, reading)
        if tick.recent_ms is not None:
            history = self._history.setdefault(candidate, [])
            history.append(tick.recent_ms)
            del history[:-_HISTORY]

    def table(self) -> Table:
        """As it stands now."""
        table = Table("candidate", "process", "phase", "seconds", "queries", "median ms", "recent")
        sensors = [column for column in ("C", "W") if self._has(column)]
        for column in sensors:
            table.add_column({"C": "hottest C", "W": "power W"}[column])
        for name, (process, tick, reading) in self._lines.items():
            table.add_row(
                name,
                str(process),
                tick.phase,
                f"{tick.seconds:.0f} / {tick.of_seconds:.0f}",
                f"{tick.n:,}",
                "" if tick.recent_ms is None else milliseconds(tick.recent_ms),
                curve(self._history.get(name, [])),
                *(_sensor(column, reading) for column in sensors),
            )
        return table

    def _has(self, column: str) -> bool:
        return any(_sensor(column, reading) for _, _, reading in self._lines.values())


class Lines:
    """Plain lines: when a phase begins, and every few seconds."""

    def __init__(self, console: rich.console.Console) -> None:
        self._console = console
        self._said: tuple[str, int, str] | None = None
        self._at = 0.0

    def follow(self, candidate: str, process: int, tick: Tick, reading: Reading) -> None:
        """Print, or not."""
        now, what = time.monotonic(), (candidate, process, tick.phase)
        if what == self._said and now - self._at < _PLAIN_SECONDS:
            return
        self._said, self._at = what, now
        words = [f"{candidate} process {process}: {tick.phase}"]
        if tick.n:
            words.append(f"{tick.seconds:.0f}/{tick.of_seconds:.0f} s, {tick.n:,} queries")
        if tick.recent_ms is not None:
            words.append(f"median {milliseconds(tick.recent_ms)} ms")
        words += [text for text in (_sensor("C", reading), _sensor("W", reading)) if text]
        self._console.print(", ".join(words), soft_wrap=True)


def _sensor(column: str, reading: Reading) -> str:
    if column == "C":
        hottest = max(reading.temperatures_c.values(), default=None)
        return "" if hottest is None else f"{hottest:.0f} C"
    return "" if reading.total_mw is None else f"{reading.total_mw / 1000:.1f} W"


def curve(values: list[float]) -> str:
    """Values as blocks of growing height, from the least to the largest of them."""
    if not values:
        return ""
    low, high = min(values), max(values)
    step = (high - low) / (len(_BLOCKS) - 1) or 1.0
    return "".join(_BLOCKS[round((value - low) / step)] for value in values)


def milliseconds(value: float | None) -> str:
    """Three figures that count; ``n/a`` where n cannot support it."""
    if value is None:
        return "n/a"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def summary(report: BenchReport, out: Path, *, phantom: bool) -> RenderableType:
    """The table of a benchmark, with what a reader has to know of it."""
    device = report.device
    where = (
        "host-proxy, says nothing absolute about a device"
        if (device.device_class == "host-proxy")
        else device.device_class
    )
    table = Table(title=f"{report.scenario}, {report.mode}: {device.model} ({where})")
    for heading in (
        "candidate", "gate", "n", "p50 ms", "p90", "p99", "max", "first", "load", "to decision p50",
        "a second", "MiB", "MB",
    ):  # fmt: skip
        table.add_column(heading)
    for row in report.rows:
        table.add_row(*_cells(row))
    for lost in report.not_measured:
        table.add_row(lost.id, NOT_MEASURED, *[""] * 11)
    lines = [f"{one.id}: {NOT_MEASURED}: {one.why}" for one in report.not_measured]
    lines += [f"note: {remark}" for remark in report.remarks]
    lines.append("valid" if report.valid else "INVALID: these figures cannot be trusted")
    return Group(
        table,
        *lines,
        f"results: {out / 'bench.json'}, {out / 'bench.html'}",
        *([PHANTOM] if phantom else []),
        "research use only; never a diagnosis",
    )


def _cells(row: BenchRow) -> list[str]:
    ms = row.latency_ms
    whole = row.end_to_end_ms
    return [
        row.id,
        row.verdict,
        f"{row.n:,}",
        *(milliseconds(value) for value in (ms.p50, ms.p90, ms.p99, ms.max, row.first_ms)),
        NOT_MEASURED if row.load_ms is None else milliseconds(row.load_ms),
        NOT_MEASURED if whole is None else milliseconds(whole.p50),
        NOT_MEASURED if row.throughput_per_s is None else f"{row.throughput_per_s:.3g}",
        NOT_MEASURED if row.peak_rss_mb is None else f"{row.peak_rss_mb:.0f}",
        f"{row.size_mb:.2f}",
    ]
