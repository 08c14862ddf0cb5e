"""The published systems: how each was trained, as data, and what was reported of it."""

from importlib import resources
from pathlib import Path

from allnet_edge.spec.base import Frozen, known_name, read_toml
from allnet_edge.spec.training import TrainSettings


class Published(Frozen):
    """One line of a paper's results.

    Attributes:
        cells: What was measured on.
        split: How those cells were separated from the training ones, in words.
        leaking: Cells of one patient stand on both sides.
        Others: In percent, as printed (AUC 0..1); None where the paper has none.
    """

    cells: str
    split: str
    leaking: bool
    accuracy: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    balanced_accuracy: float | None = None
    weighted_f1: float | None = None
    auc: float | None = None


class System(Frozen):
    """A system of the literature.

    Attributes:
        title: As it is called, with the source: four systems carry nearly the name ALLNet.
        source: Where it was published.
        ours: What the source does not say and we chose, one line each.
        published: What was reported.
        train: How it is trained.
    """

    title: str
    source: str
    ours: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    train: TrainSettings


def system_names() -> tuple[str, ...]:
    """The systems that come with the package; each has the name of its network."""
    files = (resources.files("allnet_edge") / "recipes" / "systems").iterdir()
    return tuple(sorted(file.name[:-5] for file in files if file.name.endswith(".toml")))


def load_system(name: str) -> System:
    """Read the recipe of a system.

    Raises:
        UnknownNameError: There is none of that name.
    """
    known_name("model", name, system_names())
    folder = resources.files("allnet_edge") / "recipes" / "systems"
    with resources.as_file(folder / f"{name}.toml") as path:
        return read_system(path)


def read_system(path: Path) -> System:
    """Read a recipe from a file.

    Raises:
        RecipeError: It cannot be read, or has an unknown key or a wrong value.
    """
    return read_toml(path, System)
