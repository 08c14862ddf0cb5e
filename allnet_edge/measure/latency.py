"""Single-stream latency: one query after the other, timed so that it can be trusted.

The protocol follows MLPerf Inference (single-stream scenario, early-stopping minimum of queries):
the first query apart, a warm-up until the times settle, then a run of a set length with nothing
clipped. Every sample is kept.
"""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from allnet_edge.errors import BenchmarkInvalid
from allnet_edge.measure.system import OtherLoad
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.base import Frozen

Mode = Literal["quick", "standard", "full"]
Clock = Callable[[], int]

# Queries below which a percentile is not known with 99 % confidence (MLPerf's early stopping with
# one query over the bound): the smallest n with P(Binomial(n, 1 - p) <= 1) <= 0.01.
MINIMUM_QUERIES: Mapping[float, int] = MappingProxyType({0.90: 64, 0.95: 130, 0.99: 662})

_SETTLED = 0.02  # the rolling median may move by this share
_OTHER_LOAD = 0.10  # share of all processors that other programs may use
_REPORT_EVERY_NS = 200_000_000


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


class LatencySummary(Frozen):
    """Milliseconds a query, as in bench.json; a percentile that n cannot support is null.

    Percentiles are samples that occurred (nearest rank), never interpolated. ``cov`` is the
    standard deviation over the mean; null for fewer than two queries.
    """

    min: float
    mean: float
    p50: float
    p90: float | None
    p95: float | None
    p99: float | None
    max: float
    cov: float | None

    @classmethod
    def of(cls, samples_ms: npt.NDArray[np.float64]) -> "LatencySummary":
        """Summarise.

        Args:
            samples_ms: Every measured query, float64 ``(n,)``, n > 0, milliseconds.

        Raises:
            BenchmarkInvalid: No sample.
        """
        n = samples_ms.size
        if not n:
            raise BenchmarkInvalid("no query was measured")
        mean = float(samples_ms.mean())
        return cls(
            min=float(samples_ms.min()),
            mean=mean,
            p50=_percentile(samples_ms, 0.5),
            p90=_supported(samples_ms, 0.90),
            p95=_supported(samples_ms, 0.95),
            p99=_supported(samples_ms, 0.99),
            max=float(samples_ms.max()),
            cov=float(samples_ms.std(ddof=1)) / mean if n > 1 and mean > 0 else None,
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
    """

    mode: Mode
    samples_ms: npt.NDArray[np.float64]
    first_ms: float
    warm_queries: int
    settled: bool
    other_load: float | None

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
        plan, cov = PLANS[self.mode], self.summary.cov
        reasons = self._doubts() if plan.strict else []
        if cov is None or cov > plan.cov_limit:
            spread = "unknown" if cov is None else f"{cov:.1%}"
            reasons.append(f"spread (CoV) {spread}, allowed {plan.cov_limit:.1%}")
        return tuple(reasons)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of valid figures has to know; what a strict mode would refuse."""
        plan, cov = PLANS[self.mode], self.summary.cov
        if plan.strict:
            return ()
        lines = [f"{self.mode} mode: for a first look, not for a headline", *self._doubts()]
        strict = PLANS["standard"].cov_limit
        if cov is not None and strict < cov <= plan.cov_limit:
            lines.append(f"spread (CoV) {cov:.1%}; standard mode allows {strict:.1%}")
        return tuple(lines)

    def _doubts(self) -> list[str]:
        plan, doubts = PLANS[self.mode], []
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
) -> LatencyRun:
    """Measure.

    Args:
        infer: One query from ready input to finished output; what it returns is dropped. Let it go
            through real images, never through zeros.
        mode: ``quick`` (labelled as such), ``standard`` or ``full``; see ``PLANS``.
        progress: Told between queries, at most five times a second, in seconds of the run.
        clock: Nanoseconds.
        load: Meter of other programs' work; of this machine where None.

    Raises:
        Whatever ``infer`` raises: a query that fails is never a number.
    """
    plan, meter = PLANS[mode], load or OtherLoad()
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection in the middle of a query is Python's time, not the network's
    try:
        first = _query(infer, clock)
        warm, settled = _warm_up(infer, plan, clock, progress)
        meter.start()
        samples = _run(infer, plan, clock, progress)
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
    )


def _warm_up(
    infer: Callable[[], object], plan: Plan, clock: Clock, progress: Progress
) -> tuple[int, bool]:
    """Query until the rolling median moves by less than 2 %, or until the limit."""
    report = _reporter("warm-up", plan.warm_seconds, progress)
    samples: list[int] = []
    start = clock()
    while True:
        samples.append(_query(infer, clock))
        elapsed = (clock() - start) / 1e9
        report(elapsed)
        enough = len(samples) >= plan.warm_queries and elapsed >= plan.warm_seconds
        if enough and _has_settled(samples, plan.window):
            return len(samples), True
        if enough and elapsed >= plan.warm_limit:
            return len(samples), False


def _run(infer: Callable[[], object], plan: Plan, clock: Clock, progress: Progress) -> list[int]:
    report = _reporter("measuring", plan.seconds, progress)
    samples: list[int] = []
    start = clock()
    elapsed = 0.0
    while (len(samples) < plan.queries or elapsed < plan.seconds) and elapsed < plan.limit:
        samples.append(_query(infer, clock))
        elapsed = (clock() - start) / 1e9
        report(elapsed)
    return samples


def _query(infer: Callable[[], object], clock: Clock) -> int:
    begin = clock()
    infer()
    return clock() - begin


def _has_settled(samples: list[int], window: int) -> bool:
    """Whether the medians of the last two windows differ by less than 2 %."""
    if len(samples) < 2 * window:
        return False
    before = float(np.median(samples[-2 * window : -window]))
    return abs(float(np.median(samples[-window:])) - before) < _SETTLED * before


def _reporter(what: str, seconds: float, progress: Progress) -> Callable[[float], None]:
    """A listener of elapsed seconds that does not tire ``progress``."""
    next_at = 0.0

    def report(elapsed: float) -> None:
        nonlocal next_at
        if elapsed >= next_at:
            total = max(1, round(seconds))
            progress(what, min(int(elapsed), total), total)
            next_at = elapsed + _REPORT_EVERY_NS / 1e9

    return report


def _supported(samples: npt.NDArray[np.float64], share: float) -> float | None:
    return _percentile(samples, share) if samples.size >= MINIMUM_QUERIES[share] else None


def _percentile(samples: npt.NDArray[np.float64], share: float) -> float:
    return float(np.quantile(samples, share, method="inverted_cdf"))
