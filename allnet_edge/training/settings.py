"""From a recipe and what the user asked for to the settings of a run."""

from collections.abc import Mapping
from pathlib import Path

from allnet_edge.data.samples import SampleIndex
from allnet_edge.errors import UsageError
from allnet_edge.models import network_names
from allnet_edge.spec.base import known_name, parse
from allnet_edge.spec.system import load_system, read_system
from allnet_edge.spec.training import Distil, TrainSettings


def resolve(
    model: str | None,
    recipe: Path | None,
    given: Mapping[str, object],
    *,
    taught: bool = False,
    distil: Mapping[str, object] | None = None,
) -> TrainSettings:
    """The settings of ``recipe``, or of the network's own, overridden by what was given.

    Args:
        model: Name of a network; None leaves it to the recipe.
        recipe: A recipe file; None takes the one of ``model`` that comes with the package.
        given: By field of `TrainSettings`; None was not given, a crop of 0 is none.
        taught: There is a teacher.
        distil: By field of `Distil`, likewise.

    Raises:
        UsageError: Neither a network nor a recipe, or settings of a teacher and no teacher.
        UnknownNameError: No such network.
        RecipeError: A setting with a wrong value.
    """
    if recipe is None:
        if model is None:
            raise UsageError(
                "which network? neither --model nor --recipe was given",
                fix=f"give --model with one of: {', '.join(network_names())}",
            )
        known_name("model", model, network_names())
        base = load_system(model).train
    else:
        base = read_system(recipe).train
    changed = {key: value for key, value in given.items() if value is not None}
    if changed.get("crop") == 0:
        changed["crop"] = None
    if model is not None:
        changed["model"] = known_name("model", model, network_names())
    lesson = {key: value for key, value in (distil or {}).items() if value is not None}
    if taught:
        changed["distil"] = (base.distil or Distil()).model_dump() | lesson
    elif lesson:
        raise UsageError(
            f"who is the teacher? {', '.join(sorted(lesson))} given without one",
            fix="give --teacher RUN",
        )
    told = base.model_dump() | changed
    return parse(told, TrainSettings, where=recipe or "train")


def parse_hints(text: str) -> str | list[dict[str, str]]:
    """The hints of ``--hints``: ``none``, ``auto`` or ``STUDENT=TEACHER,...``.

    Raises:
        UsageError: A pair is not two names.
    """
    if text in ("none", "auto"):
        return text
    pairs = [[name.strip() for name in pair.split("=")] for pair in text.split(",")]
    for pair in pairs:
        if len(pair) != 2 or not all(pair):
            raise UsageError(
                f"--hints: '{'='.join(pair)}' is no pair of layers",
                fix="give none, auto or STUDENT_LAYER=TEACHER_LAYER with commas between the pairs",
            )
    return [{"student": student, "teacher": teacher} for student, teacher in pairs]


def fit_crop(
    settings: TrainSettings, index: SampleIndex, *, asked: bool
) -> tuple[TrainSettings, str | None]:
    """Leave out a recipe's crop that is larger than the images, and say so.

    A recipe's crop is meant for the images of its paper. One that the user ``asked`` for stays: the
    loader refuses the first image that is too small.

    Returns:
        The settings, and a sentence for the user where the crop was left out.
    """
    crop = settings.crop
    smallest = min(min(sample.width, sample.height) for sample in index.samples)
    if crop is None or asked or crop <= smallest:
        return settings, None
    said = (
        f"the recipe's centre crop of {crop} pixels is left out: the images are as small as "
        f"{smallest} (give --crop to choose another)"
    )
    return settings.model_copy(update={"crop": None}), said
