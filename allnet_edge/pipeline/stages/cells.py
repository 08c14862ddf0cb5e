"""Phantom cells: synthetic, for the embedded default."""

from allnet_edge.data.phantom import write_dataset
from allnet_edge.errors import RecipeError
from allnet_edge.pipeline.stage import Work


def run(work: Work) -> None:
    """Write ``cells/``, a data set in the layout ``phantom``."""
    settings = work.recipe.phantom
    if settings is None:
        raise RecipeError("the recipe has no [phantom]")
    write_dataset(
        work.folder / "cells",
        settings.images,
        settings.patients,
        settings.seed,
        progress=work.progress,
    )
