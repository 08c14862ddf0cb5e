"""The float network of the embedded default, trained on its phantom cells."""

import shutil

from allnet_edge.data.choose import choose_labels
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import make_split
from allnet_edge.errors import RecipeError
from allnet_edge.pipeline.stage import Work
from allnet_edge.training.backend import choose_backend

_RUN = (
    "model.safetensors", "model.json", "history.json", "split.json", "metrics.json", "train.log",
)  # fmt: skip


# Phantom cells cost nothing, and the gate decides by the number of its cells: it gets half of them.
_FRACTIONS = (0.375, 0.11, 0.515)


def run(work: Work) -> None:
    """Write a RUN folder; a killed training resumes at its last whole epoch."""
    settings = work.recipe.train
    if settings is None:
        raise RecipeError("the recipe has no [train]")
    work.log.info("Keras on %s", choose_backend())
    from allnet_edge.training.fit import train  # noqa: PLC0415  # Keras asks for its engine once

    index = load_index(work.sources.data, cache=work.sources.cache, progress=work.progress)
    split = make_split(index, "patient", seed=settings.seed, fractions=_FRACTIONS)
    train(
        settings,
        index,
        split,
        choose_labels(index, None),
        work.partial,
        resume=True,
        progress=work.progress,
    )
    for name in _RUN:
        shutil.copyfile(work.partial / name, work.folder / name)
