"""`bench`: check every candidate, measure each in fresh processes by turns, judge, write."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType

from allnet_edge import __version__
from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.files import write_text
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.device.bench.inputs import describe_input, find_images, workload
from allnet_edge.device.bench.job import Job, Tick
from allnet_edge.device.bench.launch import launch
from allnet_edge.device.bench.rows import Row, Taken, row_of
from allnet_edge.device.bench.verdicts import Verdicts
from allnet_edge.device.golden_check import GoldenResult, check_candidate
from allnet_edge.errors import (
    AllnetEdgeError,
    ConversionError,
    EnvironmentMismatch,
    IntegrityError,
    StorageError,
)
from allnet_edge.measure.bench_report import BenchReport, NotMeasured
from allnet_edge.measure.camera import FRAMES_A_SECOND
from allnet_edge.measure.latency import Mode
from allnet_edge.measure.offline import SLIDE_CELLS
from allnet_edge.measure.percentiles import queries_needed
from allnet_edge.measure.sensors.conditions import Conditions, read_conditions
from allnet_edge.measure.sensors.readings import Reading, read_now
from allnet_edge.measure.sensors.source import Source, this_device
from allnet_edge.measure.sensors.vcgencmd import read_throttled
from allnet_edge.measure.system import describe
from allnet_edge.spec.scenario import Scenario

PROCESSES: Mapping[Mode, int] = MappingProxyType({"quick": 1, "standard": 5, "full": 5})
PACKAGES = ("ai-edge-litert", "onnxruntime", "tensorrt", "numpy", "pillow")
_IDLE_READINGS: Mapping[Mode, int] = MappingProxyType({"quick": 3, "standard": 10, "full": 30})

Follow = Callable[[str, int, Tick, Reading], None]
"""Told how a measurement stands: candidate, number of the process, its tick, the sensors."""


def unfollowed(candidate: str, process: int, tick: Tick, reading: Reading) -> None:
    """A listener that looks away."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `bench` may be told.

    Attributes:
        mode: How long.
        scenario: How queries arrive.
        candidates: Ids to measure; all that the bundle has where empty.
        processes: Fresh processes of each; as the mode has it where None.
        threads: CPU threads; all usable cores where None.
        images: A folder of images to ask with; the golden phantoms where None.
        frames_a_second: Of the camera.
        slide_cells: Of a slide offline.
        percentiles: Further ones, 0..1; the run goes on until n supports them, within its limit.
        seed: Written down; the order of images and candidates is fixed, nothing is drawn.
    """

    mode: Mode = "quick"
    scenario: Scenario = "single-stream"
    candidates: tuple[str, ...] = ()
    processes: int | None = None
    threads: int | None = None
    images: Path | None = None
    frames_a_second: float = FRAMES_A_SECOND
    slide_cells: int = SLIDE_CELLS
    percentiles: tuple[float, ...] = ()
    seed: int = 0

    @property
    def count(self) -> int:
        """Processes of each candidate."""
        return self.processes or PROCESSES[self.mode]


@dataclass(slots=True)
class _State:
    """What is known so far."""

    verdicts: Verdicts
    golden: dict[str, GoldenResult] = field(default_factory=dict)
    taken: dict[str, list[Taken]] = field(default_factory=dict)
    lost: list[NotMeasured] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    readings: list[dict[str, object]] = field(default_factory=list)


class Bench:
    """One benchmark of one bundle.

    Args:
        bundle: Opened and verified.
        options: What else was told.
        source: Where settings and sensors are read.
        follow: Told as it goes on.
    """

    def __init__(
        self,
        bundle: Bundle,
        options: Options,
        *,
        source: Source | None = None,
        follow: Follow = unfollowed,
    ) -> None:
        self._bundle, self._options = bundle, options
        self._source, self._follow = source or this_device(), follow
        named = [bundle.candidate(name) for name in dict.fromkeys(options.candidates)]
        self.candidates: tuple[Candidate, ...] = tuple(named) or bundle.candidates
        self._images = None if options.images is None else find_images(options.images)
        self._least = max(map(queries_needed, options.percentiles), default=0)

    def measure(self, folder: Path) -> BenchReport:
        """Measure and judge; samples and readings go into ``folder``, which exists.

        Raises:
            AllnetEdgeError: What no single candidate is to blame for.
        """
        started = datetime.now(timezone.utc).replace(microsecond=0)
        asked = describe_input(workload(self._bundle, self._images), self._images)
        state = _State(Verdicts(self._bundle))
        self._check(state)
        idle = self._idle_mw()
        (folder / "samples").mkdir()
        for process in range(1, self._options.count + 1):
            self._round(state, process, folder / "samples")
        rows = [self._row(state, one, idle) for one in self.candidates if state.taken.get(one.id)]
        self._check_again(state)
        _write_readings(folder / "sensors.jsonl", state.readings)
        conditions = read_conditions(self._source)
        report = BenchReport.of(
            describe(PACKAGES, self._source.root),
            [(row.row, row.runs) for row in rows],
            mode=self._options.mode,
            scenario=self._options.scenario,
            not_measured=state.lost,
            reasons=[*state.reasons, *(reason for row in rows for reason in row.reasons)],
        )
        return report.model_copy(
            update={
                "remarks": (*report.remarks, *self._remarks(conditions, rows)),
                "conditions": conditions,
                "bundle": self._bundle.manifest.name,
                "bundle_sha256": self._bundle.sha256,
                "input": asked,
                "seed": self._options.seed,
                "tool_version": __version__,
                "started": started.isoformat(),
            }
        )

    def _check(self, state: _State) -> None:
        """Golden tensors and verdicts: what fails here is not measured at all."""
        golden = self._bundle.golden()
        for one in self.candidates:
            if state.verdicts.of(one) is None:
                self._lose(state, one, state.verdicts.why_none(one))
                continue
            found = check_candidate(self._bundle, one, golden, self._options.threads)
            if found.status == "match":
                state.taken[one.id] = []
                continue
            self._lose(state, one, found.why)
            if found.status == "differ":
                state.reasons.append(f"{one.id}: golden tensors: {found.why}")

    def _check_again(self, state: _State) -> None:
        """After all that heat, does every candidate still give what it gave?"""
        golden = self._bundle.golden()
        for one in self.candidates:
            if state.taken.get(one.id):
                found = check_candidate(self._bundle, one, golden, self._options.threads)
                if found.status != "match":
                    state.reasons.append(f"{one.id}: golden tensors after the runs: {found.why}")

    def _idle_mw(self) -> float | None:
        """Power before anything is loaded; None where there is no monitor."""
        totals = []
        for _ in range(_IDLE_READINGS[self._options.mode]):
            total = read_now(self._source).total_mw
            if total is None:
                return None
            totals.append(total)
            time.sleep(1.0)
        return sum(totals) / len(totals)

    def _round(self, state: _State, process: int, samples: Path) -> None:
        """One fresh process of every candidate: what disturbs the machine disturbs all alike."""
        turn = [one for one in self.candidates if one.id in state.taken]
        for one in turn[:: 1 if process % 2 else -1]:
            job = self._job(one, process, samples)

            def follow(tick: Tick, reading: Reading, name: str = one.id) -> None:
                self._follow(name, process, tick, reading)

            try:
                watched = launch(job, self._source, follow)
            except StorageError:
                raise  # no candidate is to blame for a full disk
            except (ConversionError, EnvironmentMismatch, IntegrityError) as error:
                del state.taken[one.id]
                self._lose(state, one, error.what)
                state.reasons.append(f"{one.id}: {error.what}")
                continue
            state.taken[one.id].append(Taken(job, watched))
            state.readings += [
                {"candidate": one.id, "process": process, **reading.to_json()}
                for reading in watched.readings
            ]

    def _job(self, one: Candidate, process: int, samples: Path) -> Job:
        options = self._options
        return Job(
            bundle=self._bundle.root,
            candidate=one.id,
            threads=options.threads,
            images=self._images,
            mode=options.mode,
            scenario=options.scenario,
            frames_a_second=options.frames_a_second,
            slide_cells=options.slide_cells,
            least_queries=-(-self._least // options.count),
            samples=samples / f"{one.id}.p{process}.jsonl",
            process=process,
        )

    def _row(self, state: _State, one: Candidate, idle: float | None) -> Row:
        verdict = state.verdicts.of(one)
        if verdict is None:
            raise AllnetEdgeError(f"{one.id} was measured without a verdict")
        shares, taken = self._options.percentiles, state.taken[one.id]
        return row_of(self._bundle, one, verdict, taken, idle_mw=idle, shares=shares)

    def _lose(self, state: _State, one: Candidate, why: str) -> None:
        state.lost.append(
            NotMeasured(id=one.id, engine=one.engine, precision=one.precision, why=why)
        )

    def _remarks(self, conditions: Conditions, rows: Sequence[Row]) -> list[str]:
        lines = []
        if self._images is None:
            lines.append(
                "from file to decision: golden phantoms are bitmaps of the network's own size and "
                "need no resizing; give --images a folder of your microscope's images"
            )
        if conditions.power_mode is not None and not conditions.clocks_locked:
            lines.append("clocks: not locked by jetson_clocks, or not told without root")
        pi = read_throttled(self._source)
        if pi is not None and pi.since_boot:
            lines.append(f"since the last boot this device had: {', '.join(pi.since_boot)}")
        for row in rows:
            processes = row.row.processes
            if processes is not None and processes.spread > _RESTART:
                lines.append(
                    f"{row.row.id}: medians of its processes lie {processes.spread:.1%} apart"
                )
        return lines


_RESTART = 0.05  # of the median; what a reader of a single process would take for a difference


def _write_readings(path: Path, readings: Sequence[Mapping[str, object]]) -> None:
    write_text(path, "".join(json.dumps(reading) + "\n" for reading in readings))
