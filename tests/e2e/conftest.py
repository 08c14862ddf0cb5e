"""One whole small build, made once, that the end-to-end tests look at."""

from pathlib import Path

import pytest
from build_support import RECIPE, Build, run


@pytest.fixture(scope="session")
def small_build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    root = tmp_path_factory.mktemp("e2e")
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
