"""One candidate, measured in a process of its own.

A fresh process shows what a restart changes, and its peak memory is that of one candidate. The
parent writes the job to stdin and reads one JSON object a line from a pipe: ticks, and at the end
the answer or the error. The arguments are the number of that pipe and the parent's process id.
"""

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.files import sha256_file
from allnet_edge.child import die_with
from allnet_edge.child import tell as send
from allnet_edge.device.bench.inputs import workload
from allnet_edge.device.bench.job import Answer, Job, Tick
from allnet_edge.device.session import Judge
from allnet_edge.engines.base import Probabilities, Runner
from allnet_edge.engines.opening import open_candidate, require
from allnet_edge.errors import (
    AllnetEdgeError,
    EnvironmentMismatch,
    StorageError,
    error_to_json,
    first_line,
)
from allnet_edge.measure.latency import Pulse
from allnet_edge.measure.one_process import Measured, measure
from allnet_edge.measure.raw_samples import write_samples
from allnet_edge.measure.system import peak_rss_mb

Tell = Callable[[Tick], None]

_NO_FILE = Path("an image of the benchmark")


def main() -> int:
    """Measure one job; the exit code is that of its error."""
    pipe, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent)
    job = Job.model_validate_json(sys.stdin.buffer.read())
    try:
        answer = answer_of(job, lambda tick: send(pipe, {"tick": tick.model_dump()}))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  # the parent is told of every error there is
        known = error if isinstance(error, AllnetEdgeError) else _unknown(error, job)
        send(pipe, {"error": error_to_json(known)})
        traceback.print_exc()
        return known.exit_code
    send(pipe, {"answer": answer.model_dump(mode="json")})
    return 0


def answer_of(job: Job, tell: Tell) -> Answer:
    """Load, measure, and write the samples."""
    bundle = Bundle.open(job.bundle)
    candidate = bundle.candidate(job.candidate)
    asked, judge = workload(bundle, job.images), Judge(bundle, candidate)
    require(candidate.engine)  # loading a runtime's libraries is not loading a model
    tell(Tick(phase="loading"))

    def decide(outputs: Probabilities) -> object:
        return judge(outputs, _NO_FILE)

    def watch(pulse: Pulse) -> None:
        tell(
            Tick(
                phase=pulse.phase,
                seconds=pulse.seconds,
                of_seconds=pulse.of_seconds,
                n=pulse.n,
                recent_ms=pulse.recent_ms,
            )
        )

    began = time.perf_counter_ns()
    with open_candidate(bundle, candidate, job.threads) as runner:
        load_ms = (time.perf_counter_ns() - began) / 1e6
        measured = measure(runner, asked, decide, job.terms, watch=watch)
        found = _answer(measured, runner, load_ms, bundle.path(candidate.file))
    header = {
        "candidate": job.candidate, "process": job.process, "mode": job.mode,
        "scenario": job.scenario, "artifact_sha256": found.artifact_sha256,
        "threads": found.threads, "load_ms": load_ms, "first_ms": found.first_ms,
    }  # fmt: skip
    write_samples(job.samples, header, measured.raw())
    return found


def _answer(measured: Measured, runner: Runner, load_ms: float, file: Path) -> Answer:
    run = measured.run
    return Answer(
        load_ms=load_ms,
        first_ms=run.first_ms,
        warm_queries=run.warm_queries,
        settled=run.settled,
        other_load=run.other_load,
        batch=measured.batch,
        frames=measured.frames,
        threads=runner.threads,
        delegate=getattr(runner, "delegate", None),
        peak_rss_mb=peak_rss_mb(),
        artifact_sha256=sha256_file(file),
    )


def _unknown(error: Exception, job: Job) -> AllnetEdgeError:
    if isinstance(error, OSError):
        return StorageError(
            f"measuring {job.candidate}: cannot read or write: {error.strerror or error}",
            where=error.filename or job.samples,
            fix="make room, or choose another folder with -o",
        )
    if isinstance(error, MemoryError):
        return EnvironmentMismatch(
            f"measuring {job.candidate} ran out of memory", fix="close other programs"
        )
    return AllnetEdgeError(
        f"measuring {job.candidate} failed: {type(error).__name__}: {first_line(error)}"
    )


if __name__ == "__main__":
    sys.exit(main())
