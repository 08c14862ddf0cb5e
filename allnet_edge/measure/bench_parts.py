"""Parts of a row of bench.json: spans, processes, power, temperatures, clocks, frames."""

from collections.abc import Sequence

import numpy as np

from allnet_edge.measure.latency import LatencyRun
from allnet_edge.measure.percentiles import Samples, percentile, supported
from allnet_edge.measure.queries import Spans
from allnet_edge.measure.sensors.readings import Reading
from allnet_edge.spec.base import Frozen


class Span(Frozen):
    """Milliseconds of one part of the way; null where n cannot support it."""

    p50: float
    p90: float | None
    p99: float | None

    @classmethod
    def of(cls, samples_ms: Samples) -> "Span":
        """Of every query's part."""
        return cls(
            p50=percentile(samples_ms, 0.5),
            p90=supported(samples_ms, 0.90),
            p99=supported(samples_ms, 0.99),
        )


def span_summaries(spans: Spans | None) -> dict[str, Span | None]:
    """Of every part, by name; empty where nothing was measured from file to decision."""
    parts = {} if spans is None else spans.named()
    return {name: None if times is None else Span.of(times) for name, times in parts.items()}


class Processes(Frozen):
    """The same measurement in several fresh processes: what a restart changes.

    Attributes:
        count: How many.
        p50_ms: Median of each, in the order in which they ran.
        median_ms: Median of these medians.
        spread: Largest minus smallest of them, over their median.
        first_ms: The very first query of each.
        load_ms: From file to a runner that can be asked, of each.
    """

    count: int
    p50_ms: tuple[float, ...]
    median_ms: float
    spread: float
    first_ms: tuple[float, ...]
    load_ms: tuple[float, ...]

    @classmethod
    def of(cls, runs: Sequence[LatencyRun], load_ms: Sequence[float]) -> "Processes":
        """From the run of each process."""
        medians = tuple(run.summary.p50 for run in runs)
        middle = float(np.median(medians))
        return cls(
            count=len(runs),
            p50_ms=medians,
            median_ms=middle,
            spread=(max(medians) - min(medians)) / middle if middle > 0 else 0.0,
            first_ms=tuple(run.first_ms for run in runs),
            load_ms=tuple(load_ms),
        )


class Power(Frozen):
    """What the module takes while it measures, means over the run.

    Attributes:
        rails_mw: Milliwatts of each rail, by the board's own names.
        total_mw: Of the input rail, or the sum of all.
        idle_mw: Of the same before anything was loaded; null where not measured.
        mj_per_query: Millijoules a query, all power counted.
        mj_per_query_above_idle: Only the power above idle.
        readings: That the means are of.
    """

    rails_mw: dict[str, float]
    total_mw: float
    idle_mw: float | None
    mj_per_query: float
    mj_per_query_above_idle: float | None
    readings: int

    @classmethod
    def of(
        cls, readings: Sequence[Reading], idle_mw: float | None, ms_per_query: float
    ) -> "Power | None":
        """None where the device has no power monitor.

        Args:
            readings: Taken while queries ran without a pause.
            idle_mw: Total before.
            ms_per_query: Mean time from the begin of one query to that of the next.
        """
        known = [reading for reading in readings if reading.total_mw is not None]
        if not known:
            return None
        total = float(np.mean([reading.total_mw or 0.0 for reading in known]))
        names = {name for reading in known for name in reading.rails_mw}
        return cls(
            rails_mw={
                name: float(np.mean([r.rails_mw[name] for r in known if name in r.rails_mw]))
                for name in sorted(names)
            },
            total_mw=total,
            idle_mw=idle_mw,
            mj_per_query=total * ms_per_query / 1000,
            mj_per_query_above_idle=(
                None if idle_mw is None else max(0.0, total - idle_mw) * ms_per_query / 1000
            ),
            readings=len(known),
        )


class Warmth(Frozen):
    """Degrees Celsius of one thermal zone, at the start of the runs and at most."""

    start: float
    max: float


class ClockSpan(Frozen):
    """Megahertz, over the runs."""

    min: float
    mean: float
    max: float


class Frames(Frozen):
    """What a camera gave and what became of it.

    Attributes:
        frames_a_second: That it was set to.
        frames: That it gave while it was measured.
        dropped: Of these, frames that nobody took.
        decided_a_second: Decisions a second.
    """

    frames_a_second: float
    frames: int
    dropped: int
    decided_a_second: float


def warmth(readings: Sequence[Reading]) -> dict[str, Warmth]:
    """Of every zone that answered at the start."""
    if not readings:
        return {}
    return {
        zone: Warmth(
            start=start,
            max=max(r.temperatures_c[zone] for r in readings if zone in r.temperatures_c),
        )
        for zone, start in readings[0].temperatures_c.items()
    }


def clock_spans(readings: Sequence[Reading]) -> dict[str, ClockSpan]:
    """Of every clock that was read."""
    names = {name for reading in readings for name in reading.clocks_mhz}
    found = {}
    for name in sorted(names):
        values = [r.clocks_mhz[name] for r in readings if name in r.clocks_mhz]
        found[name] = ClockSpan(min=min(values), mean=float(np.mean(values)), max=max(values))
    return found
