"""The space that ``optimize`` searches: every network with every way of pruning."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from allnet_edge.errors import RecipeError, UsageError
from allnet_edge.pipeline.order import SELECT, stages_of
from allnet_edge.pipeline.plan import Plan, make_plan
from allnet_edge.report.pareto_document import RankBy
from allnet_edge.roofline.gpu import gpu_of
from allnet_edge.spec.base import known_name
from allnet_edge.spec.target import Target, load_target

_RANKINGS: dict[str, RankBy] = {"host": "host", "estimate": "estimate"}
_SPARSITIES = ("none", "2:4")
_LEAST_BUDGET_MS = 0.1  # below it lies nothing that this project measures
_AFTER_THE_FORMS = {"compile", "appearance", "gate", "benchmark", "report"}


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched, as the command line says it.

    Attributes:
        run: The network that every other is judged against.
        students: Other runs on the same split, each judged against ``run``.
        channels: Shares of the multiply-accumulates to keep, in (0, 1]; 1 removes none.
        sparsities: ``none``, ``2:4``.
        precision: As of a build; None takes the recipe's.
        budget_ms: None takes the target's.
        rank_by: ``host`` measures every form here; ``estimate`` takes the roofline of the target's
            GPU, so that only forms that run on it are made.
    """

    target: str
    run: Path
    data: Path
    split: Path | None = None
    students: tuple[Path, ...] = ()
    channels: tuple[float, ...] = (1.0, 0.5)
    sparsities: tuple[str, ...] = ("none",)
    precision: str | None = None
    budget_ms: float | None = None
    rank_by: str = "host"
    max_drops: tuple[str, ...] = ()
    recipe: Path | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One network, pruned in one way.

    Attributes:
        name: Readable, unique; also of its build folder.
        network: Name of its run.
        student: Whether it is judged against another network.
        plan: The whole build.
    """

    name: str
    network: str
    run: Path
    student: bool
    channels: float
    sparsity: str
    plan: Plan

    @property
    def forms_plan(self) -> Plan:
        """The part of the build up to its forms, and their judgement on validation cells."""
        stages = [one for one in self.plan.stages if one.name not in _AFTER_THE_FORMS]
        return replace(self.plan, stages=(*stages, SELECT))


@dataclass(frozen=True, slots=True)
class Search:
    """The space, resolved.

    Attributes:
        budget_ms: Longest time for one cell, by the latency that counts.
        budget_source: Where that figure comes from.
        rank_by: Which latency counts.
    """

    out: Path
    target: Target
    budget_ms: float
    budget_source: str
    rank_by: RankBy
    trials: tuple[Trial, ...]


def make_search(space: Space, out: Path) -> Search:
    """Resolve a space, before anything runs.

    Raises:
        UsageError: A run or a data set that is not there, a network that is given twice, or no
            estimate for this target where the choice is to go by it.
        SplitError: A student was trained on another split.
        RecipeError: A share, a budget or a recipe that cannot be used, or a space with nothing in
            it.
        UnknownNameError: No such target, precision, sparsity, metric or way of ranking.
        IntegrityError: A run's description or weights are damaged.
    """
    rank_by = _RANKINGS[known_name("way of ranking", space.rank_by, _RANKINGS)]
    target = _ranked_target(load_target(space.target), rank_by)
    budget, source = _budget(space.budget_ms, target)
    shares, sparsities = _shares(space.channels), _sparsities(space.sparsities)
    trials = []
    for label, run in _networks(space).items():
        trials += [
            _trial(space, out, target, (label, run), share=share, sparsity=sparsity)
            for share in shares
            for sparsity in sparsities
        ]
        # The same for all trials of a network: checked before hours of work, not after.
        trials[-1].plan.sources.reference_identity()
    return Search(out, target, budget, source, rank_by, tuple(trials))


def _ranked_target(target: Target, rank_by: RankBy) -> Target:
    """The target without what the latency that counts says nothing about.

    Raises:
        UsageError: There is no estimate for this target.
    """
    if rank_by == "host":
        return target
    if "tensorrt" not in target.runtimes:
        raise UsageError(
            f"--rank-by estimate: {target.title} has no TensorRT, and the latency model knows "
            "nothing else",
            fix="leave --rank-by out: forms are then measured on this host",
        )
    gpu_of(target)
    runtimes = tuple(name for name in target.runtimes if name != "litert")
    return target.model_copy(update={"runtimes": runtimes, "formats": ("onnx",)})


def parse_shares(text: str) -> tuple[float, ...]:
    """Shares from the command line, such as ``1,0.5``; raises RecipeError for what is no number."""
    try:
        return tuple(float(part) for part in _parts(text))
    except ValueError:
        raise RecipeError(
            f"--channels {text}: not all of this are numbers", fix="e.g. --channels 1,0.5"
        ) from None


def parse_sparsities(text: str) -> tuple[str, ...]:
    """Sparsities from the command line, such as ``none,2:4``."""
    return tuple(_parts(text))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _budget(given: float | None, target: Target) -> tuple[float, str]:
    if given is None:
        return target.latency_budget_ms.value, f"{target.name}: {target.latency_budget_ms.source}"
    if not (math.isfinite(given) and given >= _LEAST_BUDGET_MS):
        raise RecipeError(
            f"--budget-ms {given:g}: a budget is {_LEAST_BUDGET_MS:g} ms or more",
            fix="give the longest time for one cell in milliseconds, e.g. --budget-ms 20",
        )
    return given, "--budget-ms"


def _shares(given: Sequence[float]) -> list[float]:
    if not given:
        raise RecipeError(
            "the space is empty: --channels names no share", fix="--channels 1 removes no channel"
        )
    for share in given:
        if not 0 < share <= 1:
            raise RecipeError(
                f"--channels {share:g}: a share of the multiply-accumulates lies in (0, 1]",
                fix="e.g. --channels 1,0.5; 1 removes no channel",
            )
    return list(dict.fromkeys(given))


def _sparsities(given: Sequence[str]) -> list[str]:
    if not given:
        raise RecipeError(
            "the space is empty: --sparsity names none", fix=f"known: {', '.join(_SPARSITIES)}"
        )
    return list(dict.fromkeys(known_name("sparsity", name, _SPARSITIES) for name in given))


def _networks(space: Space) -> dict[str, Path]:
    """Every run under a name of its own: its folder's, as far as that can name a folder."""
    found: dict[str, Path] = {}
    for run in (space.run, *space.students):
        if run.resolve() in {other.resolve() for other in found.values()}:
            raise UsageError(
                "this network is given twice", where=run, fix="name every run once, --run included"
            )
        plain = re.sub(r"[^a-z0-9]+", "-", run.resolve().name.lower()).strip("-") or "network"
        taken = sum(name == plain or name.startswith(f"{plain}-run") for name in found)
        found[f"{plain}-run{taken + 1}" if taken else plain] = run
    return found


def _trial(
    space: Space,
    out: Path,
    target: Target,
    network: tuple[str, Path],
    *,
    share: float,
    sparsity: str,
) -> Trial:
    label, run = network
    student = run != space.run
    pruned = [f"channels-{share:g}"] if share < 1 else []
    pruned += [sparsity.replace(":", "of")] if sparsity != "none" else []
    name = "-".join([label, *pruned])
    plan = make_plan(
        out / "trials" / name,
        space.target,
        run=run,
        data=space.data,
        split=space.split,
        against=space.run if student else None,
        recipe=space.recipe,
        precision=space.precision,
        prune=_prune(share, sparsity),
        max_drops=space.max_drops,
    )
    # What is known about the images is the same for all trials.
    sources = replace(plan.sources, cache=out / ".scan")
    stages = stages_of(plan.recipe, target)
    plan = replace(plan, target=target, stages=stages, sources=sources)
    return Trial(name, label, run, student, share, sparsity, plan)


def _prune(share: float, sparsity: str) -> str:
    """What ``build --prune`` is told."""
    if share == 1:
        return sparsity
    kept = format(share, "f").rstrip("0")
    return f"channels={kept}" + (f",{sparsity}" if sparsity != "none" else "")
