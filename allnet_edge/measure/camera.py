"""The camera scenario: frames come at a fixed rate, whether the network is ready or not.

A frame is taken when the network is free; only the newest is worth taking, so that those which came
meanwhile are dropped and counted. The time of a frame runs from its capture to its decision, the
waiting included. The camera is a clock: its frames are real images, decoded beforehand, as a camera
hands over pixels and no files.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np
from PIL import Image

from allnet_edge.data.images import decode, fit
from allnet_edge.engines.base import Images, Runner
from allnet_edge.errors import UsageError
from allnet_edge.measure.latency import (
    PLANS,
    Clock,
    LatencyRun,
    LoadMeter,
    Mode,
    Phase,
    Plan,
    Pulse,
    Watch,
    unwatched,
)
from allnet_edge.measure.queries import Decide, Spans, Timed, Workload
from allnet_edge.measure.system import OtherLoad

FRAMES_A_SECOND = 30.0
_NEVER = float("inf")  # waiting is part of a frame's time: its spread says nothing about noise
_PULSE_NS = 200_000_000


@dataclass(frozen=True, slots=True, eq=False)
class CameraRun:
    """One run.

    Attributes:
        run: Capture to decision of every frame that was decided.
        spans: Parts of the same frames; what is missing from the sum is waiting.
        frames_a_second: That the camera gave.
        frames: That it gave while it was measured.
        dropped: Of these, frames that nobody took.
    """

    run: LatencyRun
    spans: Spans
    frames_a_second: float
    frames: int
    dropped: int


class FromFrame(Timed):
    """The next frame, from its pixels to a decision."""

    def __init__(
        self,
        runner: Runner,
        workload: Workload,
        decide: Decide,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        super().__init__(runner, decide, clock)
        self._preprocess = workload.preprocess
        self._next = cycle([np.asarray(decode(source)) for source in workload.sources])

    def _prepare(self) -> Images:
        return fit(Image.fromarray(next(self._next)), self._preprocess)[None]


def measure_camera(
    query: FromFrame,
    mode: Mode = "quick",
    *,
    frames_a_second: float = FRAMES_A_SECOND,
    clock: Clock = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
    load: LoadMeter | None = None,
    plan: Plan | None = None,
    watch: Watch = unwatched,
) -> CameraRun:
    """Measure.

    Args:
        query: One frame.
        mode: How long; the warm-up lasts as long as the plan's least one, at the camera's pace.
        frames_a_second: Of the camera.
        clock: Nanoseconds.
        sleep: Waits so many seconds.
        load: Meter of other programs' work; of this machine where None.
        plan: How long, where it is not the plan of ``mode``.
        watch: Told now and then between frames.

    Raises:
        UsageError: A rate that is not positive.
    """
    if not 0 < frames_a_second <= 10_000:
        raise UsageError(f"{frames_a_second:g} frames a second is no rate of a camera")
    chosen, meter = without_spread(plan or PLANS[mode]), load or OtherLoad()
    pace = _Pace(query, 1e9 / frames_a_second, clock, sleep, watch)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        began = clock()
        query()
        first = clock() - began
        warm = pace.run("warm-up", chosen.warm_queries, chosen.warm_seconds, chosen.warm_limit)
        query.taken.clear()
        meter.start()
        seen = pace.run("measuring", chosen.queries, chosen.seconds, chosen.limit)
        other = meter.share()
    finally:
        if collecting:
            gc.enable()
    run = LatencyRun(
        mode=mode,
        samples_ms=np.array(seen.samples, dtype=np.float64) / 1e6,
        first_ms=first / 1e6,
        warm_queries=len(warm.samples),
        settled=True,
        other_load=other,
        at_ms=np.array(seen.captured, dtype=np.float64) / 1e6,
        plan=chosen,
    )
    return CameraRun(run, Spans.of(query.taken), frames_a_second, seen.frames, seen.dropped)


def without_spread(plan: Plan) -> Plan:
    """The plan of a camera: its spread is a finding, not a fault."""
    return replace(plan, cov_limit=_NEVER)


@dataclass(frozen=True, slots=True)
class _Seen:
    captured: Sequence[float]
    samples: Sequence[float]
    frames: int
    dropped: int


class _Pace:
    """The camera's clock and who serves it."""

    def __init__(
        self,
        query: Callable[[], object],
        period: float,
        clock: Clock,
        sleep: Callable[[float], None],
        watch: Watch,
    ) -> None:
        self._query, self._period = query, period
        self._clock, self._sleep, self._watch = clock, sleep, watch

    def run(self, phase: Phase, queries: int, seconds: float, limit: float) -> _Seen:
        """Serve frames; frame k is captured k periods after the start."""
        captured: list[float] = []
        samples: list[float] = []
        dropped, last, told = 0, -1, 0
        start = now = self._clock()
        while (now - start < seconds * 1e9 or len(samples) < queries) and now - start < limit * 1e9:
            newest = int((now - start) / self._period)
            if newest == last:
                self._sleep(((last + 1) * self._period - (now - start)) / 1e9)
                now = self._clock()
                continue
            dropped += newest - last - 1
            last = newest
            self._query()
            now = self._clock()
            captured.append(newest * self._period)
            samples.append(now - start - newest * self._period)
            if now >= told:
                self._watch(_pulse(phase, now - start, seconds, samples))
                told = now + _PULSE_NS
        self._watch(_pulse(phase, now - start, seconds, samples))
        return _Seen(captured, samples, last + 1, dropped)


def _pulse(phase: Phase, elapsed: float, seconds: float, samples: Sequence[float]) -> Pulse:
    return Pulse(
        phase,
        elapsed / 1e9,
        seconds,
        len(samples),
        float(np.median(samples[-64:])) / 1e6,
    )
