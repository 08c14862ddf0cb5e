"""From ``build`` to the device: a real bundle is compiled, judged again, and used."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from build_support import Build, run

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.engines.cuda import Cuda
from allnet_edge.errors import EnvironmentMismatch

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("e2e")]

# `import tensorrt` of the program finds this file, and the stand-in behind it.
TENSORRT = """
import ctypes, sys
import fake_tensorrt
sys.modules["tensorrt"] = fake_tensorrt.make("10.3.0", ctypes.CDLL("libcudart.so"))
"""


@pytest.fixture
def bundle(small_build: Build, tmp_path: Path) -> Path:
    """A copy, as a device gets it."""
    return Path(shutil.copytree(small_build.out / "bundle", tmp_path / "bundle"))


@pytest.fixture
def cells(small_build: Build) -> Path:
    return small_build.out / "cells"


def test_the_bundle_holds_the_frozen_answers_and_no_name(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    reference = opened.reference()
    gate = json.loads((bundle / "reports/gate.json").read_text())
    assert len(reference.ids) == gate["n"]
    assert len(np.unique(reference.patients)) == gate["patients"]


def test_the_runtimes_of_the_processor_repeat_the_gate_of_the_build(bundle, cells) -> None:
    done = run("verify", bundle, "--data", cells, "--json")
    found = json.loads(done.stdout)
    assert done.returncode in (0, 5, 8), done.stderr
    at_build = {
        row["id"]: row
        for row in json.loads((bundle / "reports/gate.json").read_text())["candidates"]
    }
    assert found["gate"]["candidates"]
    for row in found["gate"]["candidates"]:
        assert row == at_build[row["id"]]


def test_a_jetson_s_bundle_on_a_machine_without_a_gpu_ends_in_3(bundle) -> None:
    with contextlib.suppress(EnvironmentMismatch):
        pytest.skip(f"this machine has a GPU: {Cuda.load().gpu().name}")
    done = run("compile", bundle)
    assert done.returncode == 3
    assert "error: this machine has no " in done.stderr
    assert "Traceback" not in done.stderr


def test_compiled_on_a_stand_in_of_the_device(bundle, cells, tmp_path, cudart_path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/tensorrt.py").write_text(TENSORRT)
    tests = Path(__file__).resolve().parents[1]
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(cudart_path.parent),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(tests)]),
    }
    done = run(
        "compile", bundle, "--data", cells, "--runtimes", "tensorrt", "--json", env=environment
    )
    assert done.returncode in (0, 8), done.stderr
    found = json.loads(done.stdout)
    sources = [one for one in Bundle.open(bundle).manifest.candidates if one.engine == "onnx"]
    assert len(found["engines"]) == len(sources) >= 2
    assert found["chosen"].startswith("tensorrt-")
    # The stand-in computes with ONNX Runtime: verdicts are those of the graphs.
    at_build = {row.id: row.verdict for row in sources}
    for engine in found["engines"]:
        assert engine["verdict"] == at_build[engine["source"]]
    image = next(cells.rglob("*.bmp"), None) or next(cells.rglob("*.png"))
    decided = run("infer", bundle, image, "--json", env=environment)
    assert json.loads(decided.stdout)["candidate"]["id"] == found["chosen"]
    # The same folder on a machine without the GPU: refused, not replaced in silence.
    elsewhere = run("infer", bundle, image, "--json")
    assert elsewhere.returncode == 3
