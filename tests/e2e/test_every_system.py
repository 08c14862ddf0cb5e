"""Every network of the zoo: trained, resumed, evaluated and brought to a bundle."""

import json
import subprocess
from pathlib import Path

import pytest
from build_support import run

from allnet_edge.models import network_names

# So few cells and epochs decide nothing: here only the road counts.
RECIPE = """
precisions = ["int8"]
[calibration]
images = 16
[gate]
accuracy_ratio = 0.01
sensitivity = 0.99
specificity = 0.99
auc = 0.99
"""
# The narrowest that each takes, so that eight builds fit into minutes.
SIZE = {"allnet": 96, "inceptionv3": 80, "vgg16": 64}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("systems") / "cells"
    made = run("data", "phantom", root, "--images", 150, "--patients", 18, "--seed", 4)
    assert made.returncode == 0, made.stderr
    return root


def told(process: "subprocess.CompletedProcess[str]") -> dict[str, object]:
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("network", network_names())
def test_it_trains_resumes_is_evaluated_and_reaches_a_bundle(network, cells, tmp_path):
    out, build = tmp_path / "run", tmp_path / "build"
    arguments = (
        "train", "--model", network, "--data", cells, "-o", out, "--json",
        "--input-size", SIZE.get(network, 48), "--width", 0.125, "--batch-size", 16,
        "--learning-rate", 1e-3,
    )  # fmt: skip
    told(run(*arguments, "--schedule", "constant", "--epochs", 1))
    resumed = told(run(*arguments, "--schedule", "constant", "--epochs", 2, "--resume"))
    assert len(json.loads((out / "history.json").read_text())) == 2
    assert resumed["metrics"]["validation"]["n"] > 0

    judged = told(run("evaluate", out, "--data", cells, "--json"))
    assert judged["network"]["network"] == network
    assert judged["cells"]["exposure"] == "unseen"
    assert judged["phantom"] is True

    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    # The proof by TensorRT-RTX is test_build's: it would double the minutes here.
    built = run(
        "build", "--target", "pi", "--run", out, "--data", cells, "--recipe", recipe,
        "-o", build, "--json",
    )  # fmt: skip
    # 8: a hundred cells are few even for such margins; a bundle comes out all the same.
    assert built.returncode in (0, 8), built.stderr
    assert run("verify", build / "bundle").returncode == 0
    manifest = json.loads((build / "bundle" / "manifest.json").read_text())
    assert {row["id"] for row in manifest["candidates"]} == {"litert-int8", "onnx-int8"}
    answer = run("infer", build / "bundle", next(cells.rglob("*.png")), "--format", "jsonl")
    assert answer.returncode == 0, answer.stderr
    assert 0 <= json.loads(answer.stdout.splitlines()[0])["probability"] <= 1
