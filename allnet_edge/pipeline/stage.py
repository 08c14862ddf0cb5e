"""What a stage is, and what it is handed when it runs."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from allnet_edge.pipeline.candidates import Form, made
from allnet_edge.pipeline.sources import Sources
from allnet_edge.progress import Progress
from allnet_edge.spec.recipe import Recipe
from allnet_edge.spec.target import Target

Settings = Callable[[Recipe, Target], Mapping[str, object]]


def _nothing(_recipe: Recipe, _target: Target) -> Mapping[str, object]:
    return {}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, described without importing what it needs.

    Attributes:
        name: Its folder in the build, its log, and its module in ``pipeline.stages``.
        title: What it does, for people.
        after: Stages whose files it reads.
        tools: Packages whose version changes its result.
        settings: The part of the recipe and the target that changes its result.
        reads_cells: It reads images, so that the data set and the split are among its inputs.
        reads_run: It reads the float model that the build started from.
    """

    name: str
    title: str
    after: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    settings: Settings = field(default=_nothing)
    reads_cells: bool = False
    reads_run: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage works with.

    Attributes:
        folder: Empty; what is written here becomes the stage.
        partial: A folder that survives a kill until the stage is finished, for checkpoints.
        stages: Folder of every stage of this build, by name; those in ``Stage.after`` are whole.
        sources: The run, the data set and the split that the build started from.
    """

    folder: Path
    partial: Path
    stages: Mapping[str, Path]
    recipe: Recipe
    target: Target
    sources: Sources
    progress: Progress
    log: logging.Logger

    @property
    def forms(self) -> tuple[Form, ...]:
        """The candidates that there are; for stages after those that make them."""
        return made(self.recipe, self.target, self.stages)

    @property
    def float_model(self) -> Path:
        """Folder of the float model that goes to the device: the last that was made."""
        made = (self.stages[name] for name in ("equalise", "prune") if name in self.stages)
        return next(made, self.sources.run)
