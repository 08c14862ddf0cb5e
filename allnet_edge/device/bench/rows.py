"""From what the processes of one candidate told to its row of bench.json."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.device.bench.job import Answer, Job
from allnet_edge.device.bench.launch import Watched
from allnet_edge.measure.bench_parts import (
    Frames,
    Power,
    Processes,
    Span,
    clock_spans,
    warmth,
)
from allnet_edge.measure.bench_report import BenchRow, EndToEnd
from allnet_edge.measure.latency import LatencyRun
from allnet_edge.measure.one_process import END_TO_END, plan_of
from allnet_edge.measure.percentiles import percentile, queries_needed, supported
from allnet_edge.measure.raw_samples import RawRun, read_samples
from allnet_edge.measure.sensors.readings import Reading, throttling
from allnet_edge.spec.gate import Verdict

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Taken:
    """One process: its job and what came of it."""

    job: Job
    watched: Watched

    @property
    def answer(self) -> Answer:
        """What the process told."""
        return self.watched.answer


@dataclass(frozen=True, slots=True)
class Row:
    """A row with what it is judged by.

    Attributes:
        row: As in bench.json.
        runs: One a process.
        reasons: Why the figures cannot be trusted, beyond what the runs know themselves.
    """

    row: BenchRow
    runs: list[LatencyRun]
    reasons: tuple[str, ...]


def row_of(
    bundle: Bundle,
    candidate: Candidate,
    verdict: Verdict,
    taken: Sequence[Taken],
    *,
    idle_mw: float | None,
    shares: Sequence[float],
) -> Row:
    """Put the processes of one candidate together.

    Args:
        bundle: That the candidate is of.
        candidate: What was measured.
        verdict: The gate's.
        taken: One a process, at least one.
        idle_mw: Power before anything was loaded.
        shares: Further percentiles that were asked for, 0..1.
    """
    raws = [read_samples(one.job.samples)[1] for one in taken]
    runs = [_run(one, next(iter(raw.values()))) for one, raw in zip(taken, raws, strict=True)]
    pooled = _pooled(runs)
    file = bundle.path(candidate.file)
    row = BenchRow.of(
        candidate.id,
        pooled,
        engine=candidate.engine,
        precision=candidate.precision,
        verdict=verdict,
        size_mb=file.stat().st_size / 1e6,
        threads=taken[0].answer.threads,
        load_ms=_middle([one.answer.load_ms for one in taken]),
        peak_rss_mb=max(one.answer.peak_rss_mb for one in taken),
    )
    percentiles = {f"{100 * share:g}": supported(pooled.samples_ms, share) for share in shares}
    more = {
        "batch": taken[0].answer.batch,
        "zipped_mb": _zipped_bytes(file) / 1e6,
        "artifact_sha256": taken[0].answer.artifact_sha256,
        "delegate": taken[0].answer.delegate,
        "throughput_per_s": 1000 * taken[0].answer.batch / _ms_per_query(runs),
        "percentiles_ms": percentiles,
        "processes": Processes.of(runs, [one.answer.load_ms for one in taken]),
        "samples": tuple(f"samples/{one.job.samples.name}" for one in taken),
        **_whole(raws),
        **_sensed(taken, idle_mw, _ms_per_query(runs)),
    }
    made = row.model_copy(update=more)
    return Row(made, runs, _reasons(bundle, candidate, taken, made, shares))


def _run(one: Taken, raw: RawRun) -> LatencyRun:
    answer = one.answer
    return LatencyRun(
        mode=one.job.mode,
        samples_ms=raw.ms,
        first_ms=answer.first_ms,
        warm_queries=answer.warm_queries,
        settled=answer.settled,
        other_load=answer.other_load,
        at_ms=raw.at_ms,
        plan=plan_of(one.job.terms),
    )


def _pooled(runs: Sequence[LatencyRun]) -> LatencyRun:
    """All samples as one; first queries and loads are the median over the processes."""
    return LatencyRun(
        mode=runs[0].mode,
        samples_ms=np.concatenate([run.samples_ms for run in runs]),
        first_ms=_middle([run.first_ms for run in runs]),
        warm_queries=sum(run.warm_queries for run in runs),
        settled=all(run.settled for run in runs),
        other_load=None,
        plan=runs[0].plan,
    )


def _whole(raws: Sequence[Mapping[str, RawRun]]) -> dict[str, object]:
    """The way from file to decision, and its parts; nothing where it was not measured."""
    found = [raw[END_TO_END] for raw in raws if END_TO_END in raw]
    if not found:
        return {}
    ms = np.concatenate([raw.ms for raw in found])
    names = ("preprocess", "host_to_device", "inference", "postprocess")
    spans = {
        name: Span.of(np.concatenate([raw.parts[name] for raw in found]))
        if name in found[0].parts
        else None
        for name in names
    }
    whole = EndToEnd(p50=percentile(ms, 0.5), p99=supported(ms, 0.99), n=int(ms.size))
    return {"end_to_end_ms": whole, "spans_ms": spans}


def _sensed(
    taken: Sequence[Taken], idle_mw: float | None, ms_per_query: float
) -> dict[str, object]:
    """What the sensors said meanwhile."""
    everything = [reading for one in taken for reading in one.watched.readings]
    measuring = [reading for one in taken for reading in one.watched.measuring]
    slowed = [throttling(one.watched.readings) for one in taken]
    frames = [one.answer.frames for one in taken if one.answer.frames is not None]
    return {
        "power": Power.of(measuring, idle_mw, ms_per_query),
        "gpu_memory_mb": _gpu_memory(taken),
        "temperatures_c": warmth(everything),
        "clocks_mhz": clock_spans(measuring),
        "throttled": _once(slowed),
        "frames": _frames(taken[0].job, frames, ms_per_query) if frames else None,
    }


def _once(words: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """Every word of all processes once; None where no process could tell."""
    known = [word for some in words if some is not None for word in some]
    return None if all(some is None for some in words) else tuple(dict.fromkeys(known))


def _frames(job: Job, frames: Sequence[tuple[int, int]], ms_per_query: float) -> Frames:
    return Frames(
        frames_a_second=job.frames_a_second,
        frames=sum(given for given, _ in frames),
        dropped=sum(dropped for _, dropped in frames),
        decided_a_second=1000 / ms_per_query,
    )


def _gpu_memory(taken: Sequence[Taken]) -> float | None:
    """Most that the GPU held during a process above what it held when the process began."""
    grown = [_growth(one.watched.readings) for one in taken]
    known = [value for value in grown if value is not None]
    return max(known) if known else None


def _growth(readings: Sequence[Reading]) -> float | None:
    values = [one.gpu_memory_mb for one in readings if one.gpu_memory_mb is not None]
    return max(values) - values[0] if values else None


def _reasons(
    bundle: Bundle,
    candidate: Candidate,
    taken: Sequence[Taken],
    row: BenchRow,
    shares: Sequence[float],
) -> tuple[str, ...]:
    reasons = [f"throttled: {word}" for word in row.throttled or ()]
    expected = bundle.file_sha256(candidate)
    if any(one.answer.artifact_sha256 != expected for one in taken):
        reasons.append("hash mismatch: the file is no longer the one in the manifest")
    reasons += [
        f"p{100 * share:g} takes {queries_needed(share):,} queries; {row.n:,} were measured"
        for share in shares
        if row.percentiles_ms[f"{100 * share:g}"] is None
    ]
    return tuple(f"{candidate.id}: {reason}" for reason in reasons)


def _ms_per_query(runs: Sequence[LatencyRun]) -> float:
    """Mean time from the begin of one query to the begin of the next, pauses included."""
    spans = [
        float(run.at_ms[-1] + run.samples_ms[-1] - run.at_ms[0])
        for run in runs
        if run.at_ms is not None
    ]
    return sum(spans) / sum(run.n for run in runs)


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values))


def _zipped_bytes(path: Path) -> int:
    """Of a file, deflated as in a zip archive."""
    packer, size = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            size += len(packer.compress(chunk))
    return size + len(packer.flush())
