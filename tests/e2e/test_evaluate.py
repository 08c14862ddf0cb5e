"""From training to judgement by the command line alone, as a user does it."""

import csv
import json
from pathlib import Path

import pytest
from build_support import run

from allnet_edge.report.evaluation_document import EvaluationDocument


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Phantom cells and a run on them."""
    root = tmp_path_factory.mktemp("judged")
    cells, out = root / "cells", root / "run"
    made = run("data", "phantom", cells, "--images", 300, "--patients", 24, "--seed", 3)
    assert made.returncode == 0, made.stderr
    done = run(
        "train", "--model", "custom_cnn", "--data", cells, "--input-size", 64, "--width", 0.25,
        "--epochs", 3, "--learning-rate", 2e-3, "-o", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return cells, out


@pytest.fixture(scope="module")
def found(trained: tuple[Path, Path]) -> EvaluationDocument:
    cells, out = trained
    done = run("evaluate", out, "--data", cells, "--prevalence", 0.1, "--tta", 4, "--json")
    assert done.returncode == 0, done.stderr
    return EvaluationDocument.model_validate(json.loads(done.stdout))


def test_a_trained_network_is_better_than_chance_on_unseen_patients(found):
    figures = found.performance.figures
    assert found.cells.exposure == "unseen"
    assert found.phantom
    assert figures["roc_auc"].value > 0.6  # three epochs
    assert figures["roc_auc"].lower < figures["roc_auc"].value < figures["roc_auc"].upper
    assert figures["ppv_at_prevalence"].value is not None
    assert found.network.turns == 4


def test_the_files_lie_in_the_run(trained, found):
    folder = trained[1] / "evaluation-test"
    written = EvaluationDocument.from_json((folder / "evaluation.json").read_text())
    assert written == found
    html = (folder / "evaluation.html").read_text()
    assert "Every cell judged here is synthetic" in html
    with (folder / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    right = sum(int(row["right"]) for row in rows)
    assert right / len(rows) == pytest.approx(found.performance.figures["accuracy"].value)


def test_the_run_can_still_be_resumed(trained):
    cells, out = trained
    done = run(
        "train", "--model", "custom_cnn", "--data", cells, "--input-size", 64, "--width", 0.25,
        "--epochs", 4, "--learning-rate", 2e-3, "--resume", "-o", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (out / "evaluation-test" / "evaluation.json").is_file()


def test_a_split_that_tests_what_was_trained_on_is_refused(trained, tmp_path):
    cells, out = trained
    split = tmp_path / "other.json"
    made = run("data", "split", cells, "--protocol", "patient", "--seed", 11, "-o", split)
    assert made.returncode == 0, made.stderr
    done = run("evaluate", out, "--data", cells, "--split", split, "-o", tmp_path / "never")
    assert done.returncode == 9
    assert "trained or chosen on" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "never").exists()
