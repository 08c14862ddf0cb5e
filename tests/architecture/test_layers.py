"""The contracts of .importlinter, which say who may import whom."""

import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import allnet_edge

ROOT = Path(__file__).resolve().parents[2]
LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)


def test_every_import_goes_downwards():
    done = subprocess.run(
        [sys.executable, "-c", LINT], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "4 kept, 0 broken" in done.stdout


def test_every_package_has_its_place_in_the_layers():
    config = (ROOT / ".importlinter").read_text()
    layers = re.search(r"layers =\n((?: {4}.+\n)+)", config)
    assert layers
    placed = set(re.findall(r"\w+", layers[1]))
    modules = {module.name for module in pkgutil.iter_modules(allnet_edge.__path__)}
    assert modules - {"__main__"} <= placed
