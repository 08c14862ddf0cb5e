"""Phantom cells, a small network of the tests, and one finished run on them."""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def networks_of_the_tests() -> Iterator[Path]:
    before = models.__path__
    models.__path__ = [*before, str(ZOO)]
    yield ZOO
    models.__path__ = before


@pytest.fixture(scope="module", autouse=True)
def zoo() -> Iterator[Path]:
    """The networks of the tests beside those of the package, for the tests of this folder alone:
    others look at what the package has.
    """
    with networks_of_the_tests() as folder:
        yield folder


@pytest.fixture(scope="session")
def finished(cells: Cells, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three epochs that nothing disturbed; look, do not touch."""
    from allnet_edge.training.fit import train

    folder, told = tmp_path_factory.mktemp("run") / "finished", []
    with networks_of_the_tests():
        model = train(
            SETTINGS,
            cells.index,
            cells.split,
            cells.labels,
            folder,
            progress=lambda what, done, total: told.append(f"{what} {done}/{total}"),
        )
    return Run(folder, model, told)
