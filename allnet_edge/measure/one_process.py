"""All that one process measures of one active runner, in one scenario."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from allnet_edge.engines.base import Runner
from allnet_edge.measure.camera import FRAMES_A_SECOND, FromFrame, measure_camera, without_spread
from allnet_edge.measure.latency import (
    PLANS,
    LatencyRun,
    Mode,
    Plan,
    Pulse,
    Watch,
    measure_single_stream,
    unwatched,
)
from allnet_edge.measure.offline import OFFLINE_PLANS, SLIDE_CELLS, Slide
from allnet_edge.measure.percentiles import queries_needed
from allnet_edge.measure.queries import Decide, Decoded, FromFile, Spans, Workload
from allnet_edge.measure.raw_samples import RawRun
from allnet_edge.spec.scenario import Scenario

INFERENCE, SLIDE, END_TO_END = "inference", "slide", "end_to_end"
"""Names of runs in the files of raw samples."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How it is measured.

    Attributes:
        mode: How long.
        scenario: How queries arrive.
        frames_a_second: Of the camera.
        slide_cells: Of a slide offline.
        least_queries: More than the mode asks for, so that n supports a percentile; 0 for none.
    """

    mode: Mode = "quick"
    scenario: Scenario = "single-stream"
    frames_a_second: float = FRAMES_A_SECOND
    slide_cells: int = SLIDE_CELLS
    least_queries: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What came of it.

    Attributes:
        run: The scenario's queries.
        batch: Images of a query.
        end_to_end: From an image file (a frame, with a camera) to a decision; None offline.
        spans: Parts of ``end_to_end``.
        frames: That a camera gave, and of these those that were dropped; None without one.
    """

    run: LatencyRun
    batch: int
    end_to_end: LatencyRun | None
    spans: Spans | None
    frames: tuple[int, int] | None = None

    def raw(self) -> dict[str, RawRun]:
        """Every sample, by the name of its run; the scenario's own run comes first."""
        if self.end_to_end is self.run:
            return {END_TO_END: RawRun.of(self.run, self.spans)}
        name = INFERENCE if self.batch == 1 else SLIDE
        whole = self.end_to_end
        rest: Mapping[str, RawRun] = (
            {} if whole is None else {END_TO_END: RawRun.of(whole, self.spans)}
        )
        return {name: RawRun.of(self.run), **rest}


def measure(
    runner: Runner,
    workload: Workload,
    decide: Decide,
    terms: Terms,
    *,
    watch: Watch = unwatched,
) -> Measured:
    """Measure an active runner.

    Args:
        runner: Loaded, and not asked yet: its first query is apart.
        workload: What it is asked.
        decide: From probabilities to a decision.
        terms: How.
        watch: Told between queries.
    """
    if terms.scenario == "camera":
        return _camera(runner, workload, decide, terms, watch)
    if terms.scenario == "offline":
        slide = Slide(runner, workload, decide, terms.slide_cells)
        run = measure_single_stream(slide, terms.mode, plan=plan_of(terms), watch=watch)
        return Measured(run, slide.cells, None, None)
    return _single_stream(runner, workload, decide, terms, watch)


def _single_stream(
    runner: Runner, workload: Workload, decide: Decide, terms: Terms, watch: Watch
) -> Measured:
    plan = plan_of(terms)
    decoded = Decoded(runner, workload.images)
    run = measure_single_stream(decoded, terms.mode, plan=plan, watch=watch)
    whole = FromFile(runner, workload, decide)

    def watch_whole(pulse: Pulse) -> None:
        watch(replace(pulse, phase="file to decision"))

    end_to_end = measure_single_stream(whole, terms.mode, plan=_shorter(plan), watch=watch_whole)
    return Measured(run, 1, end_to_end, Spans.of(whole.taken[-end_to_end.n :]))


def _camera(
    runner: Runner, workload: Workload, decide: Decide, terms: Terms, watch: Watch
) -> Measured:
    seen = measure_camera(
        FromFrame(runner, workload, decide),
        terms.mode,
        frames_a_second=terms.frames_a_second,
        plan=plan_of(terms),
        watch=watch,
    )
    return Measured(seen.run, 1, seen.run, seen.spans, (seen.frames, seen.dropped))


def plan_of(terms: Terms) -> Plan:
    """How long a process measures in these terms, and what makes its figures doubtful."""
    if terms.scenario == "offline":
        return OFFLINE_PLANS[terms.mode]
    plan = PLANS[terms.mode]
    plan = replace(plan, queries=max(plan.queries, terms.least_queries))
    return without_spread(plan) if terms.scenario == "camera" else plan


def _shorter(plan: Plan) -> Plan:
    """For the way from file to decision, after the network itself was measured and is warm."""
    return replace(
        plan,
        warm_queries=5,
        warm_seconds=plan.warm_seconds / 10,
        window=5,
        queries=min(plan.queries, queries_needed(0.99)),
        seconds=plan.seconds / 4,
    )
