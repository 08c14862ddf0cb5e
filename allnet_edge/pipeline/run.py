"""Running a plan: what is current is kept, everything else is made again, in order."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from allnet_edge import __version__
from allnet_edge.artifacts.builddir import BuildDir, stage_key
from allnet_edge.artifacts.files import (
    canonical_json,
    read_json,
    sha256_bytes,
    sha256_file,
    write_json,
)
from allnet_edge.errors import (
    AllnetEdgeError,
    GateFailed,
    IntegrityError,
    RecipeError,
    error_from_json,
    error_to_json,
)
from allnet_edge.measure.gate_report import GateReport
from allnet_edge.measure.system import package_version
from allnet_edge.pipeline.launch import launch
from allnet_edge.pipeline.plan import Plan
from allnet_edge.pipeline.publish import publish
from allnet_edge.pipeline.sources import Sources
from allnet_edge.pipeline.stage import Stage
from allnet_edge.pipeline.worker import Request
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.gate import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a build came to.

    Attributes:
        bundle: None where every candidate failed: nothing then goes to a device.
        skipped: Stages that were whole already.
    """

    verdict: Verdict
    gate: GateReport
    chosen: str | None
    bundle: Path | None
    report: Path
    ran: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A stage's answer that what it was asked for cannot be had: a result, not a failure.

    Attributes:
        error: A GateFailed or a RecipeError, as the stage raised it.
    """

    stage: str
    error: AllnetEdgeError


@dataclass(frozen=True, slots=True)
class _Job:
    """What identifies the work of one stage."""

    inputs: dict[str, str]
    settings: dict[str, object]
    tools: dict[str, str]
    key: str


class _Identity:
    """What the sources are, found out once a run and only when a stage asks for it."""

    def __init__(self, sources: Sources, progress: Progress) -> None:
        self._sources, self._progress = sources, progress

    @cached_property
    def of_run(self) -> dict[str, str]:
        return self._sources.run_identity()

    @cached_property
    def of_cells(self) -> dict[str, str]:
        return self._sources.identity(self._progress)


def run(plan: Plan, progress: Progress = silent) -> Outcome:
    """Make every stage that is not current, then the report and the bundle.

    Raises:
        AllnetEdgeError: Of the stage that failed; what was finished before it stays.
    """
    with BuildDir.open(plan.out) as build:
        identity = _Identity(plan.sources, progress)
        ran = tuple(
            stage.name for stage in plan.stages if _make(build, plan, stage, identity, progress)
        )
        skipped = tuple(stage.name for stage in plan.stages if stage.name not in ran)
        gate = GateReport.model_validate_json((build.path("gate") / "gate.json").read_bytes())
        published = publish(build, plan)
    return Outcome(
        verdict=gate.verdict,
        gate=gate,
        chosen=published.chosen,
        bundle=published.bundle,
        report=plan.out / "report.html",
        ran=ran,
        skipped=skipped,
    )


def make(plan: Plan, progress: Progress = silent) -> Refusal | None:
    """Make the stages of a plan that are not current, and neither report nor bundle.

    A plan with fewer stages than a build has shares the finished ones with a later ``run``. What a
    stage refused is kept beside it, so that it is not tried again before its inputs change.

    Returns:
        The refusal that ended it; None where every stage was made.

    Raises:
        AllnetEdgeError: Of a stage that failed in another way; what was finished stays.
    """
    with BuildDir.open(plan.out) as build:
        identity = _Identity(plan.sources, progress)
        for stage in plan.stages:
            kept = build.root / f"{stage.name}.refused.json"
            key = _job(build, plan, stage, identity).key
            error = _kept_refusal(kept, key)
            if error is None:
                try:
                    _make(build, plan, stage, identity, progress)
                except (GateFailed, RecipeError) as refused:
                    write_json(kept, {"key": key, "error": error_to_json(refused)})
                    error = refused
            if error is not None:
                return Refusal(stage.name, error)
    return None


def _kept_refusal(path: Path, key: str) -> AllnetEdgeError | None:
    try:
        stored = read_json(path)
    except IntegrityError:
        return None  # there is none, or it is to be asked for again
    if not isinstance(stored, dict) or stored.get("key") != key:
        return None
    return error_from_json(stored["error"])


def _job(build: BuildDir, plan: Plan, stage: Stage, identity: _Identity) -> _Job:
    inputs = _inputs(build, plan, stage, identity)
    settings = dict(stage.settings(plan.recipe, plan.target))
    tools = tool_versions(stage)
    key = stage_key(stage.name, inputs=inputs, settings=settings, tools=tools)
    return _Job(inputs, settings, tools, key)


def _make(
    build: BuildDir, plan: Plan, stage: Stage, identity: _Identity, progress: Progress
) -> bool:
    """Make one stage; False where it was whole already."""
    job = _job(build, plan, stage, identity)
    if build.is_current(stage.name, job.key):
        progress(f"{stage.name}: unchanged", 1, 1)
        return False
    progress(f"{stage.name}: {stage.title}", 0, 0)
    with build.stage(
        stage.name, inputs=job.inputs, settings=job.settings, tools=job.tools
    ) as folder:
        request = Request(
            stage=stage.name,
            title=stage.title,
            folder=folder,
            partial=build.resumable(stage.name, job.key),
            stages={one.name: build.path(one.name) for one in plan.stages},
            recipe=plan.recipe,
            target=plan.target,
            run=plan.sources.run,
            data=plan.sources.data,
            split=plan.sources.split,
            cache=plan.sources.cache,
            against=plan.sources.against,
        )
        launch(request, build.log(stage.name), _named(stage.name, progress))
    progress(f"{stage.name}: {stage.title}", 1, 1)
    return True


def _inputs(build: BuildDir, plan: Plan, stage: Stage, identity: _Identity) -> dict[str, str]:
    """Hashes of all that a stage reads: earlier stages by their files, and the sources."""
    found = {}
    for name in (one.name for one in plan.stages if one.name in stage.after):
        record = build.record(name)
        if record is not None:
            found[f"stage:{name}"] = sha256_bytes(canonical_json(record.files))
    if stage.reads_run:
        found |= identity.of_run
    if stage.reads_cells:
        found |= identity.of_cells
    if stage.name == "reference":
        found |= plan.sources.reference_identity()
    pinned = plan.recipe.calibration.pinned
    if stage.name == "quantize" and pinned is not None:
        found["pinned"] = sha256_file(pinned)
    return found


def tool_versions(stage: Stage) -> dict[str, str]:
    """Versions of the packages that a stage uses, of those that are installed."""
    names = (*stage.tools, "pillow") if stage.reads_cells else stage.tools
    versions = {name: package_version(name) for name in names}
    known = {name: version for name, version in versions.items() if version is not None}
    return {"allnet-edge": __version__, **known}


def _named(name: str, progress: Progress) -> Callable[[str, int, int], None]:
    return lambda what, done, total: progress(f"{name}: {what}", done, total)
