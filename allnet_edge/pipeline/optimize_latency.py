"""Latency of every form on this machine, in rounds that a second start does not measure again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from allnet_edge.artifacts.files import (
    canonical_json,
    read_json,
    sha256_bytes,
    write_json,
)
from allnet_edge.errors import IntegrityError, RecipeError
from allnet_edge.measure.latency import Mode
from allnet_edge.measure.system import Machine, describe
from allnet_edge.pipeline.optimize_round import RoundRequest, TimedFile, run_round
from allnet_edge.pipeline.sources import Sources
from allnet_edge.progress import Progress
from allnet_edge.search.rounds import ROUNDS, Latency, Turn
from allnet_edge.spec.base import Frozen, parse

_IMAGES = 32
_PACKAGES = ("ai-edge-litert", "numpy", "onnxruntime")  # sorted, as they are when read back


@dataclass(frozen=True, slots=True)
class File:
    """A model file to be measured.

    Attributes:
        sha256: Files of the same bytes are measured once.
        sources: Whose validation cells it is asked, prepared as its network wants them.
    """

    sha256: str
    path: Path
    sources: Sources


class Measured(Frozen):
    """``latency.json``: one session, all of whose rounds went through the same files.

    Attributes:
        key: Of the session: the files, the settings, the machine and its runtimes.
        machine: Where and with what it was measured.
        mode: How long.
        threads: Of one inference; None is all usable cores.
        began: When.
        other_load: Share of all processors that other programs used, of each round.
        rounds: By the file's SHA-256.
    """

    key: str
    machine: Machine
    mode: Mode
    threads: int | None
    began: datetime
    other_load: tuple[float | None, ...]
    rounds: tuple[dict[str, Turn], ...]

    def of(self, sha256: str) -> Latency:
        """The latency of one file."""
        return Latency.of([turns[sha256] for turns in self.rounds])


def measure(
    files: Sequence[File], kept: Path, *, mode: Mode, threads: int | None, progress: Progress
) -> Measured:
    """Measure every file in interleaved rounds.

    Finished rounds lie in ``kept``; a killed measurement goes on after them. A session with other
    files, another machine or another runtime is measured anew as a whole: only figures of the same
    rounds can be compared.

    Args:
        files: Distinct paths; equal contents are measured once.
        kept: The file ``latency.json``.
    """
    distinct = {file.sha256: file for file in files}
    machine, plan = describe(_PACKAGES), ROUNDS[mode]
    key = _key(distinct, machine, mode, threads)
    session = _kept(kept, key) or Measured(
        key=key, machine=machine, mode=mode, threads=threads,
        began=datetime.now(timezone.utc).replace(microsecond=0), other_load=(), rounds=(),
    )  # fmt: skip
    if len(session.rounds) >= plan.rounds:
        progress("latency: unchanged", 1, 1)
        return session
    asked = _Asked(progress)
    timed = tuple(
        TimedFile(
            sha256=sha, path=file.path, images=asked.of(file.sources),
            preprocess=file.sources.model().spec.preprocess,
        )
        for sha, file in distinct.items()
    )  # fmt: skip
    log = kept.with_name("logs") / "latency.log"
    log.parent.mkdir(exist_ok=True)
    while (number := len(session.rounds)) < plan.rounds:
        count = _counter(progress, number * len(timed), plan.rounds * len(timed))
        request = RoundRequest(files=timed, number=number, mode=mode, threads=threads)
        found = run_round(request, log, count)
        session = session.model_copy(
            update={
                "rounds": (*session.rounds, found.turns),
                "other_load": (*session.other_load, found.other_load),
            }
        )
        write_json(kept, session.model_dump(mode="json"))
    return session


def _key(files: Mapping[str, File], machine: Machine, mode: Mode, threads: int | None) -> str:
    # How busy the machine is and how much memory is free is no part of what it is.
    steady = machine.model_dump(mode="json", exclude={"available_mb", "load_1min", "governor"})
    return sha256_bytes(canonical_json([sorted(files), steady, mode, threads]))


def _kept(path: Path, key: str) -> Measured | None:
    try:
        found = parse(read_json(path), Measured, where=path)
    except (IntegrityError, RecipeError):
        return None  # to be measured again
    return found if found.key == key else None


def _counter(progress: Progress, before: int, total: int) -> Callable[[], None]:
    done = before

    def count() -> None:
        nonlocal done
        done += 1
        progress("latency on this host, interleaved rounds", done, total)

    return count


class _Asked:
    """Validation images of each run, listed once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._known: dict[Path, tuple[Path, ...]] = {}

    def of(self, sources: Sources) -> tuple[Path, ...]:
        if sources.run not in self._known:
            index, split = sources.load(self._progress)
            samples = split.samples("validation", index)[:_IMAGES]
            self._known[sources.run] = tuple(index.path(sample) for sample in samples)
        return self._known[sources.run]
