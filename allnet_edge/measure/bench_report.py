"""The document bench.json: how fast each candidate is, where, and whether that can be trusted."""

from collections.abc import Sequence

from pydantic import Field

from allnet_edge.errors import BenchmarkInvalid
from allnet_edge.measure.bench_parts import ClockSpan, Frames, Power, Processes, Span, Warmth
from allnet_edge.measure.latency import LatencyRun, Mode
from allnet_edge.measure.percentiles import LatencySummary
from allnet_edge.measure.sensors.conditions import Conditions
from allnet_edge.measure.system import Machine
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.gate import Verdict
from allnet_edge.spec.scenario import Scenario


class EndToEnd(Frozen):
    """Milliseconds from an image file to a decision; null where n cannot support it."""

    p50: float
    p99: float | None
    n: int | None = None

    @classmethod
    def of(cls, run: LatencyRun) -> "EndToEnd":
        """From a run whose query was the whole way."""
        return cls(p50=run.summary.p50, p99=run.summary.p99, n=run.n)


class BenchRow(Frozen):
    """One candidate. There is no row without the gate's verdict on the same artifact.

    Attributes:
        id: Of the candidate, as in gate.json.
        engine: Runtime.
        precision: ``fp32``, ``fp16``, ``int8``, ...
        batch: Images a query.
        threads: Processor threads of the runtime; null where it chooses itself.
        n: Measured queries.
        latency_ms: Of a query, from ready input to finished output.
        first_ms: The very first query.
        load_ms: From file to a runner that can be asked.
        end_to_end_ms: From an image file to a decision; null where not measured.
        peak_rss_mb: Most physical memory of the process up to the end of the run, MiB.
        size_mb: Of the artifact's file, 10^6 bytes.
        verdict: The gate's.

    What follows is null or empty where it was not measured or cannot be.

    Attributes:
        zipped_mb: Of the same file, deflated.
        artifact_sha256: Of the file that was measured.
        delegate: What the runtime hands its operators to.
        throughput_per_s: Images a second, over the whole run.
        spans_ms: Parts of ``end_to_end_ms``; a copy is null where the runtime has no device.
        percentiles_ms: Further percentiles that were asked for.
        processes: What a restart of the process changes.
        frames: Of a camera.
        power: While it measured.
        gpu_memory_mb: Most memory that the GPU held, above what it held before.
        temperatures_c: By zone.
        clocks_mhz: By unit.
        throttled: What slowed the device down meanwhile; null where nothing there can tell.
        samples: Files of raw samples, relative to bench.json.
    """

    id: str
    engine: str
    precision: str
    batch: int = 1
    threads: int | None
    n: int
    latency_ms: LatencySummary
    first_ms: float
    load_ms: float | None
    end_to_end_ms: EndToEnd | None
    peak_rss_mb: float | None
    size_mb: float
    verdict: Verdict
    zipped_mb: float | None = None
    artifact_sha256: str | None = None
    delegate: str | None = None
    throughput_per_s: float | None = None
    spans_ms: dict[str, Span | None] = Field(default_factory=dict)
    percentiles_ms: dict[str, float | None] = Field(default_factory=dict)
    processes: Processes | None = None
    frames: Frames | None = None
    power: Power | None = None
    gpu_memory_mb: float | None = None
    temperatures_c: dict[str, Warmth] = Field(default_factory=dict)
    clocks_mhz: dict[str, ClockSpan] = Field(default_factory=dict)
    throttled: tuple[str, ...] | None = None
    samples: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        candidate: str,
        run: LatencyRun,
        *,
        engine: str,
        precision: str,
        verdict: Verdict,
        size_mb: float,
        threads: int | None = None,
        load_ms: float | None = None,
        end_to_end: LatencyRun | None = None,
        peak_rss_mb: float | None = None,
    ) -> "BenchRow":
        """The row of one run; what else is known is added by ``model_copy``."""
        return cls(
            id=candidate,
            engine=engine,
            precision=precision,
            threads=threads,
            n=run.n,
            latency_ms=run.summary,
            first_ms=run.first_ms,
            load_ms=load_ms,
            end_to_end_ms=None if end_to_end is None else EndToEnd.of(end_to_end),
            peak_rss_mb=peak_rss_mb,
            size_mb=size_mb,
            verdict=verdict,
        )


class NotMeasured(Frozen):
    """A candidate without figures, and why: a failure is never a number."""

    id: str
    engine: str
    precision: str
    why: str


class Input(Frozen):
    """What the networks were asked.

    Attributes:
        source: Where the images come from, in words.
        images: How many, taken in turn.
        sha256: Of their pixels and shape, in order.
        pixels: Side of a source image, or "a x b"; several where they differ.
    """

    source: str
    images: int
    sha256: str
    pixels: str


class BenchReport(Frozen):
    """bench.json.

    Attributes:
        mode: Length of the runs; ``quick`` is for a first look.
        scenario: How queries arrive.
        valid: Whether every row can be trusted.
        why_invalid: Each reason, with the candidate's id.
        remarks: What a reader has to know of figures that are valid, with the candidate's id.
        device: Where the clock ran.
        rows: One a measured candidate.
        not_measured: Candidates that could not run.
        conditions: Settings of the device that the figures depend on; read, never changed.
        bundle: Name of the bundle; null for a build that has none yet.
        bundle_sha256: Of its manifest.
        input: What the networks were asked.
        seed: Of everything that is drawn.
        tool_version: Of this package.
        started: ISO 8601, UTC.
    """

    mode: Mode
    scenario: Scenario
    valid: bool
    why_invalid: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    device: Machine
    rows: tuple[BenchRow, ...]
    not_measured: tuple[NotMeasured, ...] = ()
    conditions: Conditions | None = None
    bundle: str | None = None
    bundle_sha256: str | None = None
    input: Input | None = None
    seed: int | None = None
    tool_version: str | None = None
    started: str | None = None

    @classmethod
    def of(
        cls,
        machine: Machine,
        measured: Sequence[tuple[BenchRow, Sequence[LatencyRun]]],
        *,
        mode: Mode,
        scenario: Scenario = "single-stream",
        not_measured: Sequence[NotMeasured] = (),
        reasons: Sequence[str] = (),
    ) -> "BenchReport":
        """Put rows together and judge them.

        Args:
            machine: Where the clock ran.
            measured: Each row with its runs, one a process.
            mode: Of all runs.
            scenario: Of all runs.
            not_measured: Candidates that could not run.
            reasons: Further reasons why the figures cannot be trusted (throttling, a golden
                tensor that differs).
        """
        why = [
            *reasons,
            *(text for row, runs in measured for text in _told(row, runs, invalid=True)),
        ]
        if not measured:
            why.append("no candidate was measured")
        return cls(
            mode=mode,
            scenario=scenario,
            valid=not why,
            why_invalid=tuple(why),
            remarks=tuple(
                text for row, runs in measured for text in _told(row, runs, invalid=False)
            ),
            device=machine,
            rows=tuple(row for row, _ in measured),
            not_measured=tuple(not_measured),
        )


def _told(row: BenchRow, runs: Sequence[LatencyRun], *, invalid: bool) -> list[str]:
    """Reasons or remarks of every run; one that several processes share is told once."""
    said: dict[str, list[int]] = {}
    for number, run in enumerate(runs, start=1):
        for text in run.why_invalid if invalid else run.remarks:
            said.setdefault(text, []).append(number)
    alone = len(runs) == 1
    return [
        f"{row.id}: {text}"
        if alone or len(numbers) == len(runs)
        else f"{row.id}: process {', '.join(map(str, numbers))}: {text}"
        for text, numbers in said.items()
    ]


def require_valid(report: BenchReport, *, where: object = None) -> None:
    """Raise unless the figures can be trusted.

    Raises:
        BenchmarkInvalid: With every reason.
    """
    if not report.valid:
        raise BenchmarkInvalid(
            "the latencies cannot be trusted\n  " + "\n  ".join(report.why_invalid),
            where=where,
            fix="stop other programs, let the device cool down, and measure again",
        )
