"""``allnet-edge evaluate`` from its arguments to its exit code."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from allnet_edge.cli.main import main
from allnet_edge.cli.views.phantom import PHANTOM
from allnet_edge.data.phantom import write_dataset
from allnet_edge.report.evaluation_document import EvaluationDocument

HEAVY = {"keras", "tensorflow", "jax", "torch", "sklearn", "scipy", "numpy", "PIL", "jinja2"}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    root = tmp_path_factory.mktemp("cells") / "data"
    write_dataset(root, images=48, patients=12, seed=4, size=48)
    return root


def test_a_bundle_is_judged_and_printed(make_bundle, cells, capsys):
    assert main(["evaluate", str(make_bundle()), "--data", str(cells), "--json"]) == 0
    captured = capsys.readouterr()
    found = EvaluationDocument.model_validate(json.loads(captured.out))
    assert found.cells.part == "all"
    assert found.phantom
    assert "does not list its training images" in captured.err


def test_nothing_is_written_for_a_bundle_unasked(make_bundle, cells, capsys, tmp_path):
    before = set(tmp_path.rglob("*"))
    bundle = make_bundle()
    made = set(tmp_path.rglob("*")) - before
    assert main(["evaluate", str(bundle), "--data", str(cells), "--quiet"]) == 0
    assert set(tmp_path.rglob("*")) - before == made
    out = capsys.readouterr().out
    assert "Not shown to be unseen" in out
    assert PHANTOM in out
    assert "48 phantom (synthetic) cells (all)" in out


def test_the_folder_that_was_named_is_written(make_bundle, cells, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["evaluate", str(make_bundle()), "--data", str(cells), "-o", str(out)]
    assert main([*arguments, "--prevalence", "0.05", "--tta", "2", "--candidate", "onnx.fp32"]) == 0
    found = EvaluationDocument.from_json((out / "evaluation.json").read_text())
    assert found.performance.prevalence == 0.05
    assert (found.network.turns, found.network.candidate) == (2, "onnx.fp32")
    assert f"written: {out}" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize(
    "wish",
    [
        (["--part", "test"], 2, "no part 'test'"),
        (["--part", "tset"], 2, "did you mean test?"),
        (["--prevalence", "2"], 2, "prevalence"),
        (["--tta", "0"], 2, "rotations"),
        (["--candidate", "onnx.fp23"], 2, "unknown candidate"),
        (["--split", "no-such.json"], 9, "cannot read the split"),
    ],
    ids=lambda wish: " ".join(wish[0]),
)
def test_senseless_wishes_are_refused(make_bundle, cells, capsys, wish):
    extra, code, words = wish
    assert main(["evaluate", str(make_bundle()), "--data", str(cells), *extra]) == code
    assert words in capsys.readouterr().err


def test_a_folder_that_is_neither_is_refused(tmp_path, cells, capsys):
    assert main(["evaluate", str(tmp_path), "--data", str(cells)]) == 2
    assert "neither a run" in capsys.readouterr().err
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{}")
    assert main(["evaluate", str(tmp_path), "--data", str(cells)]) == 2
    assert "judge its bundle" in capsys.readouterr().err


def test_a_damaged_run_is_an_integrity_error(tmp_path, cells, capsys):
    (tmp_path / "model.json").write_text("{")
    assert main(["evaluate", str(tmp_path), "--data", str(cells)]) == 7
    assert "no readable float model" in capsys.readouterr().err


def test_a_class_that_the_bundle_does_not_know_is_refused(make_bundle, tmp_path, capsys):
    data = tmp_path / "data"
    rng = np.random.default_rng(0)
    for name in ("hem", "monocyte"):
        (data / name).mkdir(parents=True)
        for number in range(3):
            pixels = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(data / name / f"{name}{number}.png")
    assert main(["evaluate", str(make_bundle()), "--data", str(data)]) == 9
    assert "not trained on the class monocyte" in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "allnet_edge", "evaluate", "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "--prevalence" in done.stdout
    imported = {name.partition(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", done.stderr, re.M)}
    assert not imported & HEAVY


def test_a_bundle_needs_no_keras(make_bundle, cells):
    code = (
        "import sys; from allnet_edge.cli.main import main; code = main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    arguments = ["evaluate", str(make_bundle(chosen="onnx.fp32")), "--data", str(cells), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "onnxruntime" in loaded
    assert not loaded & {"keras", "tensorflow", "jax", "torch", "safetensors", "tf_keras"}
