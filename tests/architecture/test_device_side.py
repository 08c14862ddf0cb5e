"""What runs beside the microscope, in an environment that has only what a device has."""

import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from device_models import cell_images
from PIL import Image

import allnet_edge

HOST_ONLY = {
    "ai_edge_quantizer",
    "h5py",
    "jax",
    "keras",
    "matplotlib",
    "onnx",
    "safetensors",
    "scipy",
    "sklearn",
    "tensorflow",
    "tensorflow_model_optimization",
    "tensorrt_rtx",
    "tf2onnx",
    "tf_keras",
    "torch",
}

WITHOUT_HOST_PACKAGES = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HOST_ONLY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} on this device", name=name)

sys.meta_path.insert(0, Blocked())
"""


def device(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run Python code as on a device: what only a host has cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_HOST_PACKAGES + code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(allnet_edge.__file__).parents[1])},
    )


MAIN = "from allnet_edge.cli.main import main; sys.exit(main(sys.argv[1:]))"


def device_modules() -> list[str]:
    """Every module of the device side."""
    found = []
    for package in ("spec", "artifacts", "engines", "measure", "device"):
        below = pkgutil.walk_packages(
            [str(Path(allnet_edge.__file__).parent / package)], f"allnet_edge.{package}."
        )
        found += [module.name for module in below]
    return [*found, "allnet_edge.data.images"]


def test_the_blocker_blocks():
    assert "No module named 'tensorflow'" in device("import tensorflow").stderr


def test_every_module_of_the_device_side_imports_there():
    names = [name for name in device_modules() if name != "allnet_edge.engines.tensorrt"]
    assert len(names) > 20
    done = device(
        "import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)", *names
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, pixels in enumerate(cell_images(2)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("candidate", ["litert.int8", "litert.fp32", "onnx.fp32"])
def test_a_device_decides(candidate, make_bundle, images):
    done = device(MAIN, "infer", make_bundle(), images, "--json", "--candidate", candidate)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["candidate"]["id"] == candidate
    assert [row["usable"] for row in found["results"]] == [True, True]


def test_a_device_verifies(make_bundle):
    done = device(MAIN, "verify", make_bundle(), "--json")
    assert done.returncode == 0, done.stderr
    assert [one["status"] for one in json.loads(done.stdout)["golden"]] == ["match"] * 3


def test_a_device_compiles_judges_and_uses_its_choice(judged_bundle, images):
    made = judged_bundle()
    done = device(MAIN, "compile", made.root, "--data", made.data, "--runtimes", "onnx", "--json")
    assert done.returncode in (0, 6), done.stderr  # a busy machine measures badly
    assert json.loads(done.stdout)["chosen"] == "onnx.fp32"
    used = json.loads(device(MAIN, "infer", made.root, images, "--json").stdout)
    assert used["candidate"]["id"] == "onnx.fp32"


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["infer", "--help"],
        ["verify", "--help"],
        ["compile", "--help"],
        ["train", "--help"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(command):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "allnet_edge", *command],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    imported = set(re.findall(r"\|\s+([\w.]+)$", done.stderr, re.M))
    assert "allnet_edge.cli.main" in imported
    roots = {name.partition(".")[0] for name in imported}
    assert not roots & (HOST_ONLY | {"numpy", "PIL", "onnxruntime", "ai_edge_litert"})


def test_the_list_of_verbs_imports_none_of_them():
    code = f"{MAIN[: -len('sys.exit(main(sys.argv[1:]))')]}main(['--help']); print(*sys.modules)"
    done = device(code)
    loaded = {name for name in done.stdout.split() if name.startswith("allnet_edge.cli.")}
    assert loaded == {"allnet_edge.cli.main"}
