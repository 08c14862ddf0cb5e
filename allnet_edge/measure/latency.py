"""Single-stream latency: one query after the other, timed so that it can be trusted.

The protocol follows MLPerf Inference (single-stream scenario, early-stopping minimum of queries):
the first query apart, a warm-up until the times settle, then a run of a set length with nothing
clipped. Every sample is kept.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.percentiles import LatencySummary
from allnet_edge.measure.system import OtherLoad
from allnet_edge.progress import Progress, silent

Mode = Literal["quick", "standard", "full"]
Phase = Literal["warm-up", "measuring", "file to decision"]
Clock = Callable[[], int]
"""Nanoseconds."""

_SETTLED = 0.02  # the rolling median may move by this share
_OTHER_LOAD = 0.10  # share of all processors that other programs may use
_REPORT_EVERY_NS = 200_000_000
_RECENT = 64  # queries of the median that a watcher is told


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a run stands, told between two queries.

    Attributes:
        phase: ``warm-up`` or ``measuring``; ``file to decision`` for both where that is measured
            in addition to the network.
        seconds: That the phase has lasted.
        of_seconds: That it is to last at least.
        n: Queries of the phase.
        recent_ms: Median of the last of them.
    """

    phase: Phase
    seconds: float
    of_seconds: float
    n: int
    recent_ms: float


Watch = Callable[[Pulse], None]


def unwatched(pulse: Pulse) -> None:
    """A watcher that looks away."""


class LoadMeter(Protocol):
    """Tells how busy other programs kept the machine between ``start`` and ``share``."""

    def start(self) -> None:
        """Begin the span."""

    def share(self) -> float | None:
        """Share of all processors that others used since, 0..1; None where it cannot be read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a mode warms up and measures.

    Attributes:
        warm_queries: At least so many queries of warm-up (the first query is apart).
        warm_seconds: And at least so long.
        warm_limit: Once both are reached, the warm-up ends here at the latest, in seconds, whether
            the times have settled or not.
        window: Queries of the rolling median that has to settle.
        queries: At least so many measured queries.
        seconds: And at least so long.
        limit: The run ends here in any case, in seconds.
        cov_limit: Largest standard deviation over mean.
        strict: Whether too few queries, other load or times that did not settle make a run
            invalid, rather than adding a remark.
    """

    warm_queries: int
    warm_seconds: float
    warm_limit: float
    window: int
    queries: int
    seconds: float
    limit: float
    cov_limit: float
    strict: bool


# quick is for CI and for a first look, on machines that do other work as well. There an interrupted
# query takes tens of milliseconds more, so the CoV of a 0.3 ms query is 2 to 4 although the median
# stands still (seen on two shared cores): only a mean made of interruptions alone is refused.
PLANS: Mapping[Mode, Plan] = MappingProxyType(
    {
        "quick": Plan(10, 1, 5, 5, 64, 3, 20, cov_limit=10.0, strict=False),
        "standard": Plan(50, 10, 120, 25, 1024, 60, 1800, cov_limit=0.025, strict=True),
        "full": Plan(50, 10, 120, 25, 1024, 600, 3600, cov_limit=0.025, strict=True),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class LatencyRun:
    """One measured run.

    Attributes:
        mode: How long it was meant to be.
        samples_ms: Every measured query in order, float64 ``(n,)``, milliseconds.
        first_ms: The very first query, which pays for what is set up late.
        warm_queries: Queries of the warm-up after the first one.
        settled: Whether the warm-up ended because the times had settled.
        other_load: Share of all processors that other programs used during the run, 0..1.
        at_ms: When each query began, counted from the first measured one, float64 ``(n,)``; None
            where that was not kept.
        plan: How it was meant to be measured; that of ``mode`` where None.
    """

    mode: Mode
    samples_ms: npt.NDArray[np.float64]
    first_ms: float
    warm_queries: int
    settled: bool
    other_load: float | None
    at_ms: npt.NDArray[np.float64] | None = None
    plan: Plan | None = None

    @property
    def n(self) -> int:
        """Measured queries."""
        return int(self.samples_ms.size)

    @property
    def summary(self) -> LatencySummary:
        """What bench.json says about the run."""
        return LatencySummary.of(self.samples_ms)

    @property
    def why_invalid(self) -> tuple[str, ...]:
        """Why the figures cannot be trusted; empty when they can."""
        plan, cov = self._planned, self.summary.cov
        reasons = self._doubts() if plan.strict else []
        if cov is None or cov > plan.cov_limit:
            spread = "unknown" if cov is None else f"{cov:.1%}"
            reasons.append(f"spread (CoV) {spread}, allowed {plan.cov_limit:.1%}")
        return tuple(reasons)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of valid figures has to know; what a strict mode would refuse."""
        plan, cov = self._planned, self.summary.cov
        if plan.strict:
            return ()
        lines = [f"{self.mode} mode: for a first look, not for a headline", *self._doubts()]
        strict = PLANS["standard"].cov_limit
        if cov is not None and strict < cov <= plan.cov_limit:
            lines.append(f"spread (CoV) {cov:.1%}; standard mode allows {strict:.1%}")
        return tuple(lines)

    @property
    def _planned(self) -> Plan:
        return self.plan or PLANS[self.mode]

    def _doubts(self) -> list[str]:
        plan, doubts = self._planned, []
        if not self.settled:
            doubts.append(f"times had not settled after {self.warm_queries} queries of warm-up")
        if self.n < plan.queries:
            doubts.append(f"{self.n} queries in {plan.limit:g} s; {plan.queries} are needed")
        if self.other_load is not None and self.other_load > _OTHER_LOAD:
            doubts.append(f"other programs used {self.other_load:.0%} of the processors")
        return doubts


def measure_single_stream(
    infer: Callable[[], object],
    mode: Mode = "quick",
    progress: Progress = silent,
    *,
    clock: Clock = time.perf_counter_ns,
    load: LoadMeter | None = None,
    plan: Plan | None = None,
    watch: Watch = unwatched,
) -> LatencyRun:
    """Measure.

    Args:
        infer: One query from ready input to finished output; what it returns is dropped. Let it go
            through real images, never through zeros.
        mode: ``quick`` (labelled as such), ``standard`` or ``full``; see ``PLANS``.
        progress: Told between queries, at most five times a second, in seconds of the run.
        clock: Nanoseconds.
        load: Meter of other programs' work; of this machine where None.
        plan: How long, where it is not the plan of ``mode``.
        watch: Told as often as ``progress``, and more.

    Raises:
        Whatever ``infer`` raises: a query that fails is never a number.
    """
    chosen, meter = plan or PLANS[mode], load or OtherLoad()
    tell = _Teller(progress, watch, clock)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection in the middle of a query is Python's time, not the network's
    try:
        began = clock()
        infer()
        first = clock() - began
        warm, settled = _warm_up(infer, chosen, clock, tell)
        meter.start()
        starts, samples = _run(infer, chosen, clock, tell)
        other = meter.share()
    finally:
        if collecting:
            gc.enable()
    return LatencyRun(
        mode=mode,
        samples_ms=np.array(samples, dtype=np.float64) / 1e6,
        first_ms=first / 1e6,
        warm_queries=warm,
        settled=settled,
        other_load=other,
        at_ms=(np.array(starts, dtype=np.int64) - starts[0]) / 1e6,
        plan=plan,
    )


def _warm_up(
    infer: Callable[[], object], plan: Plan, clock: Clock, tell: "_Teller"
) -> tuple[int, bool]:
    """Query until the rolling median moves by less than 2 %, or until the limit."""
    samples: list[int] = []
    start = clock()
    least, most = start + plan.warm_seconds * 1e9, start + plan.warm_limit * 1e9
    tell.begin("warm-up", start, plan.warm_seconds)
    while True:
        begin = clock()
        infer()
        end = clock()
        samples.append(end - begin)
        if end >= tell.next_at:
            tell(end, samples)
        if len(samples) >= plan.warm_queries and end >= least:
            if _has_settled(samples, plan.window):
                return len(samples), True
            if end >= most:
                return len(samples), False


def _run(
    infer: Callable[[], object], plan: Plan, clock: Clock, tell: "_Teller"
) -> tuple[list[int], list[int]]:
    """When each query began and how long it took, nanoseconds.

    What this loop adds to a query is what ``benchmarks/runner_overhead.py`` measures: keep it bare.
    """
    starts: list[int] = []
    samples: list[int] = []
    start = end = clock()
    least, most = start + plan.seconds * 1e9, start + plan.limit * 1e9
    tell.begin("measuring", start, plan.seconds)
    while (end < least or len(samples) < plan.queries) and end < most:
        begin = clock()
        infer()
        end = clock()
        starts.append(begin)
        samples.append(end - begin)
        if end >= tell.next_at:
            tell(end, samples)
    tell(end, samples)
    return starts, samples


def _has_settled(samples: list[int], window: int) -> bool:
    """Whether the medians of the last two windows differ by less than 2 %."""
    if len(samples) < 2 * window:
        return False
    before = float(np.median(samples[-2 * window : -window]))
    return abs(float(np.median(samples[-window:])) - before) < _SETTLED * before


class _Teller:
    """Tells listeners between queries, seldom enough not to disturb them."""

    def __init__(self, progress: Progress, watch: Watch, clock: Clock) -> None:
        self._progress, self._watch, self._clock = progress, watch, clock
        self.next_at = 0

    def begin(self, phase: Phase, start: int, seconds: float) -> None:
        self._phase, self._start, self._seconds = phase, start, seconds
        self.next_at = start

    def __call__(self, now: int, samples: Sequence[int]) -> None:
        elapsed, total = (now - self._start) / 1e9, max(1, round(self._seconds))
        self._progress(self._phase, min(int(elapsed), total), total)
        recent = float(np.median(samples[-_RECENT:])) / 1e6
        self._watch(Pulse(self._phase, elapsed, self._seconds, len(samples), recent))
        self.next_at = self._clock() + _REPORT_EVERY_NS
