"""Phantom cells, a small network of the tests, and one finished run on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from training_support import SETTINGS, ZOO, Cells, Run

from allnet_edge import models
from allnet_edge.data.phantom import write_dataset


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    root = tmp_path_factory.mktemp("phantom") / "cells"
    write_dataset(root, images=60, patients=12, seed=1, size=48)
    return Cells.of(root)


@pytest.fixture(scope="session")
def zoo() -> Iterator[Path]:
    """The networks of the tests beside those of the package."""
    before = models.__path__
    models.__path__ = [*before, str(ZOO)]
    yield ZOO
    models.__path__ = before


@pytest.fixture(scope="session")
def finished(cells: Cells, zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three epochs that nothing disturbed; look, do not touch."""
    from allnet_edge.training.fit import train

    folder, told = tmp_path_factory.mktemp("run") / "finished", []
    model = train(
        SETTINGS,
        cells.index,
        cells.split,
        cells.labels,
        folder,
        progress=lambda what, done, total: told.append(f"{what} {done}/{total}"),
    )
    return Run(folder, model, told)
