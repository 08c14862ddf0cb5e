"""One whole small build, made once, that the end-to-end tests look at."""

import fcntl
import os
import pickle
from pathlib import Path

import pytest
from build_support import RECIPE, Build, run


@pytest.fixture(scope="session")
def small_build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Made by the first of the test processes that needs it; the others wait for it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "small-build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = shared / "small-build.pickle"
        if not made.exists():
            made.write_bytes(pickle.dumps(_small_build(shared / "e2e")))
        build: Build = pickle.loads(made.read_bytes())  # noqa: S301 (our own)
    return build


def _small_build(root: Path) -> Build:
    root.mkdir()
    recipe = root / "small.toml"
    recipe.write_text(RECIPE)
    out = root / "build"
    process = run("build", "--target", "jetson", "--recipe", recipe, "-o", out, "--json")
    assert process.returncode in (0, 5, 8), process.stderr
    return Build(recipe, out, process)


@pytest.fixture(scope="session")
def few_cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("systems") / "cells"
    made = run("data", "phantom", root, "--images", 150, "--patients", 18, "--seed", 4)
    assert made.returncode == 0, made.stderr
    return root
