"""`compile`: on the device itself, engines are built, every candidate tried, and one chosen."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from allnet_edge.artifacts import files
from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.device_files import CHOICE, FOLDER, DeviceChoice, EngineRecord
from allnet_edge.artifacts.locking import locked_folder
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.device.choice import Contender, decide
from allnet_edge.device.compile_engines import Built, EngineSettings, build_engines
from allnet_edge.device.compile_measure import Trial
from allnet_edge.device.gate import DeviceGate
from allnet_edge.errors import OutputDirError
from allnet_edge.measure.gate_report import GateReport
from allnet_edge.measure.latency import Mode
from allnet_edge.measure.percentiles import LatencySummary
from allnet_edge.measure.system import describe
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.target import Runtime, Target

_PACKAGES = ("ai-edge-litert", "onnxruntime", "numpy", "pillow")


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """What `compile` may be told.

    Attributes:
        data: The images of the build's gate; None leaves engines unjudged.
        runtimes: To try; the target's own where None.
        engines: How engines are built.
        mode: Length of the benchmark of each candidate.
        threads: CPU threads of the processor's runtimes.
        accept_golden: Take an engine of which only the golden tensors were checked for passed.
    """

    data: Path | None = None
    runtimes: tuple[Runtime, ...] | None = None
    engines: EngineSettings = EngineSettings()  # noqa: RUF009 - frozen
    mode: Mode = "quick"
    threads: int | None = None
    accept_golden: bool = False


@dataclass(frozen=True, slots=True)
class Compiled:
    """What `compile` made.

    Attributes:
        choice: As written to ``engine/choice.json``.
        engines: As written to their sidecars.
        gate: On this device; None without data.
        notes: What the preflight found worth telling.
    """

    choice: DeviceChoice
    engines: tuple[EngineRecord, ...]
    gate: GateReport | None
    notes: tuple[str, ...]


def compile_bundle(
    root: Path,
    target: Target,
    options: CompileOptions | None = None,
    *,
    progress: Progress = silent,
) -> Compiled:
    """Build the engines that the target can use, try every candidate, choose, and write it down.

    An earlier choice goes before anything is measured, so that a run which is killed leaves the
    build's own choice; engines that still fit are taken over.

    Args:
        root: Folder of the bundle.
        target: What the bundle was built for, or what this device is.
        options: What else was told.
        progress: Told as it goes on.

    Raises:
        UsageError: No bundle; no folder of images; a bundle without frozen answers.
        OutputDirError: The bundle's folder cannot be written, or another process compiles in it.
        IntegrityError: The signed part of the bundle was changed.
        EnvironmentMismatch: TensorRT is asked for and this machine has no GPU, another GPU, or too
            little memory or disk; the message says what would mend it.
        DataError: Cells of the gate that are not there.
    """
    told = options or CompileOptions()
    bundle = Bundle.open(root)
    if not os.access(root, os.W_OK):
        raise OutputDirError(
            "the bundle's folder cannot be written, and engines go there",
            where=root,
            fix="copy the bundle to a folder of yours, or make this one writable",
        )
    with locked_folder(root, program="compile", other="copy the bundle to another folder"):
        return _compile(bundle, target, told, progress)


def _compile(bundle: Bundle, target: Target, told: CompileOptions, progress: Progress) -> Compiled:
    gate = None if told.data is None else DeviceGate.open(bundle, told.data, progress)
    runtimes = told.runtimes or target.runtimes
    built = Built()
    if "tensorrt" in runtimes:
        built = build_engines(bundle, target, told.engines, progress)
    bundle.path(CHOICE).unlink(missing_ok=True)
    bundle = Bundle.open(bundle.root)
    trial = Trial(bundle, gate, mode=told.mode, threads=told.threads, progress=progress)
    contenders = [
        trial.try_out(one) for one in bundle.candidates if _wanted(one, runtimes, built.records)
    ]
    contenders += [Contender(one, lost=why) for one, why in built.refused]
    return _Conclusion(bundle, built, contenders, gate).write(trial, told)


def _wanted(candidate: Candidate, runtimes: Sequence[str], engines: Sequence[EngineRecord]) -> bool:
    if candidate.engine == "tensorrt":
        return candidate.id in {one.id for one in engines}
    return candidate.engine in runtimes


@dataclass(frozen=True, slots=True)
class _Conclusion:
    """What was tried, to be decided on and written down."""

    bundle: Bundle
    built: Built
    contenders: Sequence[Contender]
    gate: DeviceGate | None

    def write(self, trial: Trial, told: CompileOptions) -> Compiled:
        decision = decide(self.contenders, accept_golden=told.accept_golden)
        by_id = {one.candidate.id: one for one in self.contenders}
        records = tuple(_judged(one, by_id[one.id]) for one in self.built.records)
        choice = DeviceChoice(
            created=datetime.now(timezone.utc).replace(microsecond=0).isoformat(),
            manifest_sha256=self.bundle.sha256,
            machine=describe(_PACKAGES).model_dump(mode="json"),
            power_mode=self.built.power_mode,
            mode=told.mode,
            remarks=tuple(trial.remarks),
            why_invalid=tuple(trial.why_invalid),
            chosen=decision.chosen,
            order=decision.order,
            rows=decision.rows,
        )
        judged = tuple(one.gate for one in self.contenders if one.gate is not None)
        report = None if self.gate is None else self.gate.report(judged)
        _write(self.bundle, records, choice)
        return Compiled(choice, records, report, self.built.notes)


def _judged(record: EngineRecord, found: Contender) -> EngineRecord:
    return record.model_copy(
        update={
            "golden": found.golden,
            "verdict": found.verdict,
            "latency_ms": _plain(found.latency),
        }
    )


def _plain(latency: LatencySummary | None) -> dict[str, float | None] | None:
    return None if latency is None else dict(latency)


def _write(bundle: Bundle, records: Sequence[EngineRecord], choice: DeviceChoice) -> None:
    """The sidecars, then the choice; then what an earlier run left and nothing names any more."""
    folder = bundle.path(FOLDER)
    folder.mkdir(exist_ok=True)
    for record in records:
        files.write_json(bundle.path(record.sidecar), record.model_dump(mode="json"))
    files.write_json(bundle.path(CHOICE), choice.model_dump(mode="json"))
    kept = {CHOICE, *(one.file for one in records), *(one.sidecar for one in records)}
    for path in folder.iterdir():
        name = f"{FOLDER}/{path.name}"
        if name not in kept and name not in bundle.manifest.files and path.suffix != ".cache":
            files.remove(path)
