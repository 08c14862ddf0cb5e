"""The whole road of one network: trained, resumed, evaluated and brought to a bundle.

Two test files take half of the zoo each: the suite deals files to its processes.
"""

import json
import subprocess
from pathlib import Path

from build_support import run

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
HALVES = (
    ("allnet", "alnett", "custom_cnn", "vgg16"),
    ("inceptionv3", "mobilenetv2", "resnet50", "se_resnext50"),
)
# The narrowest that each takes, so that eight builds fit into minutes.
SIZE = {"allnet": 96, "inceptionv3": 80, "vgg16": 64}


def told(process: "subprocess.CompletedProcess[str]") -> dict[str, object]:
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def walk(network: str, cells: Path, tmp_path: Path) -> None:
    """Train, resume, evaluate, build, verify, infer."""
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
