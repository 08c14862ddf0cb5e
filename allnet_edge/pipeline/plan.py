"""A build, resolved and checked, before anything runs."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from allnet_edge.errors import RecipeError, UsageError
from allnet_edge.models import network_names
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.order import stages_of
from allnet_edge.pipeline.sources import Sources
from allnet_edge.pipeline.stage import Stage
from allnet_edge.spec.base import known_name, read_toml
from allnet_edge.spec.recipe import PruneSpec, Recipe
from allnet_edge.spec.target import Target, load_target

_PRECISIONS = {
    "auto": ("fp32", "fp16", "int8", "mixed"),
    "fp32": ("fp32",),
    "fp16": ("fp16",),
    "int8": ("int8",),
    "mixed": ("int8", "mixed"),
}
_DROPS = ("sensitivity", "specificity", "auc")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a build depends on.

    Attributes:
        out: The build folder.
        sources: For the embedded default these are folders inside ``out``.
    """

    out: Path
    target: Target
    recipe: Recipe
    sources: Sources
    stages: tuple[Stage, ...]

    @property
    def embedded(self) -> bool:
        """Phantom cells and a network trained on the spot."""
        return self.recipe.train is not None


def make_plan(
    out: Path,
    target: str,
    *,
    run: Path | None = None,
    data: Path | None = None,
    split: Path | None = None,
    against: Path | None = None,
    recipe: Path | None = None,
    precision: str | None = None,
    prune: str | None = None,
    qat: int | None = None,
    max_drops: tuple[str, ...] = (),
) -> Plan:
    """Resolve what the command line says.

    Args:
        against: Another run whose answers the candidates are judged against.
        recipe: A TOML file; without it the defaults, or the embedded recipe without ``run``.
        precision, prune, qat: Override the recipe.
        max_drops: Likewise, such as ``specificity=0.02``.

    Raises:
        UsageError: Paths that do not belong together or are not there, or a run that ``build``
            cannot judge.
        RecipeError: A setting that cannot be used.
        UnknownNameError: No such target, precision, metric or network.
        IntegrityError: The run's description is damaged.
    """
    device = load_target(target)
    _check_sources(run, data, split)
    _check_against(against, run)
    resolved = _recipe(recipe, embedded=run is None)
    if (resolved.train is None) == (run is None):
        raise RecipeError(
            "this recipe trains a network of its own" if run else "this recipe has no [train]",
            where=recipe,
            fix="leave --run and --data out" if run else "give --run and --data",
        )
    if precision is not None:
        known = known_name("precision", precision, _PRECISIONS)
        resolved = resolved.model_copy(update={"precisions": _PRECISIONS[known]})
    if prune is not None:
        resolved = resolved.model_copy(update={"prune": PruneSpec.parse(prune, resolved.prune)})
    if qat is not None:
        changed = resolved.qat.model_copy(update={"epochs": qat})
        resolved = resolved.model_copy(update={"qat": changed})
    resolved = _with_drops(resolved, max_drops)
    _check_recipe(resolved, recipe)
    sources = Sources(
        run=run or out / "train",
        data=data or out / "cells" / "cells",
        split=split,
        cache=out / ".scan",
        against=against,
    )
    return Plan(out, device, resolved, sources, stages_of(resolved, device))


def _check_against(against: Path | None, run: Path | None) -> None:
    if against is None:
        return
    if run is None:
        raise UsageError(
            "--against needs --run: the embedded default is judged against its own network",
            where=against,
            fix="leave --against out, or give --run and --data",
        )
    if not (against / float_model.DESCRIPTION).is_file():
        raise UsageError(
            f"there is no finished run to judge against (no {float_model.DESCRIPTION})",
            where=against,
            fix="give the output folder of 'allnet-edge train'",
        )


def _check_sources(run: Path | None, data: Path | None, split: Path | None) -> None:
    if (run is None) != (data is None):
        raise UsageError(
            "--run and --data belong together",
            fix="give both, or neither for the embedded default (phantom cells)",
        )
    if run is None or data is None:
        if split is not None:
            raise UsageError(
                "--split needs --run and --data: the embedded default splits its own cells",
                where=split,
                fix="leave --split out, or give the run and the data set that it belongs to",
            )
        return
    if not (run / float_model.DESCRIPTION).is_file():
        raise UsageError(
            f"there is no finished run in this folder (no {float_model.DESCRIPTION})",
            where=run,
            fix="give the output folder of 'allnet-edge train'; --resume finishes a run",
        )
    if not data.is_dir():
        raise UsageError(
            "the data set is not a folder",
            where=data,
            fix="give the folder that --run was trained on",
        )
    classes = float_model.read(run).spec.classes
    if len(classes) != 2:
        raise UsageError(
            f"this network has {len(classes)} classes ({', '.join(classes)}); for now build judges "
            "networks of two",
            where=run,
            fix="train with --positive, which folds the classes into positive and negative",
        )


def _check_recipe(recipe: Recipe, path: Path | None) -> None:
    if recipe.train is not None:
        known_name("model", recipe.train.model, network_names())
    pinned = recipe.calibration.pinned
    if pinned is not None and not pinned.is_file():
        raise RecipeError(
            f"calibration.pinned: there is no file {pinned}",
            where=path,
            fix="name the calibration.json of an earlier build, or leave 'pinned' out",
        )


def _recipe(path: Path | None, *, embedded: bool) -> Recipe:
    if path is not None:
        return read_toml(path, Recipe)
    if not embedded:
        return Recipe()
    with resources.as_file(resources.files("allnet_edge") / "recipes" / "default.toml") as shipped:
        return read_toml(shipped, Recipe)


def _with_drops(recipe: Recipe, drops: tuple[str, ...]) -> Recipe:
    changed: dict[str, float] = {}
    for text in drops:
        name, _, value = text.partition("=")
        known_name("metric of --max-drop", name, _DROPS)
        try:
            changed[name] = float(value)
        except ValueError:
            raise RecipeError(
                f"--max-drop {text}: '{value}' is no number", fix="e.g. --max-drop specificity=0.02"
            ) from None
        if not 0 <= changed[name] < 1:
            raise RecipeError(f"--max-drop {text}: a drop lies between 0 and 1")
    return recipe.model_copy(update={"gate": recipe.gate.model_copy(update=changed)})
