"""The document bench.json: how fast each candidate is, where, and whether that can be trusted."""

from collections.abc import Sequence
from typing import Literal

from allnet_edge.errors import BenchmarkInvalid
from allnet_edge.measure.latency import LatencyRun, LatencySummary, Mode
from allnet_edge.measure.system import Machine
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.gate import Verdict

Scenario = Literal["single-stream", "offline", "camera"]


class EndToEnd(Frozen):
    """Milliseconds from an image file to a decision; null where n cannot support it."""

    p50: float
    p99: float | None

    @classmethod
    def of(cls, run: LatencyRun) -> "EndToEnd":
        """From a run whose query was the whole way."""
        return cls(p50=run.summary.p50, p99=run.summary.p99)


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
        """The row of one run."""
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
    """

    mode: Mode
    scenario: Scenario
    valid: bool
    why_invalid: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    device: Machine
    rows: tuple[BenchRow, ...]
    not_measured: tuple[NotMeasured, ...] = ()

    @classmethod
    def of(
        cls,
        machine: Machine,
        measured: Sequence[tuple[BenchRow, LatencyRun]],
        *,
        mode: Mode,
        scenario: Scenario = "single-stream",
        not_measured: Sequence[NotMeasured] = (),
        reasons: Sequence[str] = (),
    ) -> "BenchReport":
        """Put rows together and judge them.

        Args:
            machine: Where the clock ran.
            measured: Each row with its run.
            mode: Of all runs.
            scenario: Of all runs.
            not_measured: Candidates that could not run.
            reasons: Further reasons why the figures cannot be trusted (throttling, a golden
                tensor that differs).
        """
        why = [
            *reasons,
            *(f"{row.id}: {text}" for row, run in measured for text in run.why_invalid),
        ]
        if not measured:
            why.append("no candidate was measured")
        return cls(
            mode=mode,
            scenario=scenario,
            valid=not why,
            why_invalid=tuple(why),
            remarks=tuple(f"{row.id}: {text}" for row, run in measured for text in run.remarks),
            device=machine,
            rows=tuple(row for row, _ in measured),
            not_measured=tuple(not_measured),
        )


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
