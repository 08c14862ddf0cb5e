"""``allnet-edge train`` from its arguments to its exit code."""

import json

import pytest

from allnet_edge.artifacts.builddir import BuildDir
from allnet_edge.cli.main import main

pytestmark = pytest.mark.xdist_group("training")


@pytest.fixture
def train(cells, tmp_path, capsys):
    """``train("--epochs", 2)`` into one folder: the exit code and what was printed."""

    def run(*extra: object, out: object = tmp_path / "run") -> tuple[int, str, str]:
        code = main(
            [
                "train", "--model", "custom_cnn", "--data", str(cells.root), "--width", "0.125",
                "--input-size", "32", "--batch-size", "16", "-o", str(out),
                *map(str, extra),
            ]
        )  # fmt: skip
        return code, *capsys.readouterr()

    return run


def test_a_run_its_resume_and_what_is_printed(train, tmp_path):
    code, stdout, _ = train("--epochs", 1, "--json")
    assert code == 0
    told = json.loads(stdout)
    assert told["run"] == str(tmp_path / "run")
    assert told["metrics"]["validation"]["epoch"] == 1
    assert told["phantom"] is True
    assert "<svg" in (tmp_path / "run" / "history.svg").read_text()

    code, _, stderr = train("--epochs", 2)
    assert code == 2
    assert "already holds a run" in stderr
    assert "--resume" in stderr

    code, stdout, _ = train("--epochs", 2, "--resume", "--positive", " all ,")
    assert code == 0
    assert "validation cells, split by patient: accuracy" in stdout
    assert "the best of 2 epochs" in stdout
    assert "made from phantom (synthetic) cells" in stdout
    assert len(json.loads((tmp_path / "run" / "history.json").read_text())) == 2

    code, _, stderr = train("--epochs", 3, "--resume", "--learning-rate", "0.5")
    assert code == 2
    assert "other settings" in stderr


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        (["--learning-rate", "2"], 2, "learning_rate"),
        (["--augment", "mirror"], 2, "augment"),
        (["--schedule", "stepp"], 2, "schedule"),
        (["--epochs", "0"], 2, "epochs"),
        (["--model", "allnt"], 2, "did you mean allnet"),
        (["--positive", "blast"], 9, "name positive classes among: all, hem"),
        (["--split", "absent.json"], 9, "cannot read the split"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_settings_leave_nothing_behind(train, tmp_path, extra, code, said):
    found, _, stderr = train(*extra)
    assert (found, said in stderr) == (code, True), stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_ours_is_left_alone(train, tmp_path):
    (tmp_path / "thesis.txt").write_text("do not lose me")
    code, _, stderr = train(out=tmp_path)
    assert code == 2
    assert "not ours" in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_in_which_another_process_trains_is_refused(train, tmp_path):
    with BuildDir.open(tmp_path / "run"):
        code, _, stderr = train()
    assert code == 2
    assert "another build is running" in stderr
