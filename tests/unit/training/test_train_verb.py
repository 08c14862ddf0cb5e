"""``allnet-edge train`` from its arguments to its exit code."""

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from allnet_edge.artifacts.builddir import BuildDir
from allnet_edge.cli.main import main
from allnet_edge.training import fit, kept

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
        (["--select", "loss"], 2, "select"),
        (["--epochs", "0"], 2, "epochs"),
        (["--model", "allnt"], 2, "did you mean allnet"),
        (["--recipe", "absent.toml"], 2, "cannot read the file"),
        (["--coordinator", "127.0.0.1:1"], 2, "belong together"),
        (["--coordinator", "a:1", "--processes", "2", "--process", "0"], 2, "need --distribute"),
        (["--distribute", "hosts"], 2, "KERAS_BACKEND=jax"),
        (["--distribute", "all"], 2, "distribute"),
        (["--workers", "-1"], 2, "workers"),
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


def test_the_epoch_that_is_kept_and_drawn_is_the_one_of_the_best_auc(train, tmp_path):
    code, stdout, _ = train("--epochs", 3, "--select", "auc", "--json")
    assert code == 0
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    best = max(history, key=lambda epoch: (epoch["val_auc"], -epoch["val_loss"]))["epoch"]
    assert json.loads(stdout)["metrics"]["validation"]["epoch"] == best
    assert f"best epoch {best}:" in (tmp_path / "run" / "history.svg").read_text()


def test_without_a_network_and_without_a_recipe_nothing_begins(cells, tmp_path, capsys):
    code = main(["train", "--data", str(cells.root), "-o", str(tmp_path / "run")])
    assert code == 2
    assert "neither --model nor --recipe" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


class TestOwnRecipe:
    @pytest.fixture
    def recipe(self, tmp_path) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(
            'title = "mine"\nsource = "the tests"\n[train]\nmodel = "custom_cnn"\nwidth = 0.125\n'
            "input_size = 32\nbatch_size = 16\nepochs = 1\nper_channel = true\ncrop = 300\n"
        )
        return path

    @pytest.fixture
    def with_it(self, cells, recipe, tmp_path, capsys):
        def run(*extra: object) -> tuple[int, dict, str]:
            out = str(tmp_path / "run")
            told = ["train", "--recipe", str(recipe), "--data", str(cells.root), "-o", out]
            code = main([*told, *map(str, extra)])
            path = tmp_path / "run" / "model.json"
            made = json.loads(path.read_text()) if path.is_file() else {}
            return code, made, capsys.readouterr().err

        return run

    def test_it_is_used_but_for_what_was_given(self, with_it):
        code, made, said = with_it("--learning-rate", "0.5", "--one-channel")
        assert code == 0
        settings = made["record"]["settings"]
        assert (settings["model"], settings["width"], settings["learning_rate"]) == (
            "custom_cnn", 0.125, 0.5,
        )  # fmt: skip
        assert len(made["spec"]["preprocess"]["mean"]) == 1
        # The crop of the recipe is larger than these images.
        assert "crop of 300 pixels is left out" in said
        assert made["spec"]["preprocess"]["crop"] is None

    def test_a_crop_that_was_asked_for_is_not_left_out(self, with_it):
        code, made, said = with_it("--crop", 300)
        assert (code, made) == (9, {})
        assert "300" in said

    def test_an_unknown_key_is_named_with_the_nearest(self, with_it, recipe):
        recipe.write_text(recipe.read_text() + "epoch = 3\n")
        code, made, said = with_it()
        assert (code, made) == (2, {})
        assert "unknown key train.epoch, did you mean epochs?" in said
        assert str(recipe) in said


def decoders() -> list[int]:
    """The processes of this one that decode images."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
            if int(status[1]) == os.getpid() and b"decode_worker" in command:
                found.append(int(folder.name))
    return found


def test_a_killed_worker_process_ends_the_run_which_then_goes_on(train, tmp_path, monkeypatch):
    shuffled = fit.shuffled

    def kill_in_the_second_epoch(count, seed):
        if seed[1] == 2:
            os.kill(decoders()[0], signal.SIGKILL)
        return shuffled(count, seed)

    monkeypatch.setattr(fit, "shuffled", kill_in_the_second_epoch)
    code, _, stderr = train("--epochs", 2, "--workers", 2)
    assert code == 3
    assert "a process that decodes images was killed" in stderr
    assert "--resume" in stderr
    assert "Traceback" not in stderr
    assert not decoders()
    assert len(json.loads((tmp_path / "run" / "history.json").read_text())) == 1
    monkeypatch.undo()
    code, stdout, _ = train("--epochs", 2, "--workers", 2, "--resume", "--json")
    assert code == 0
    code, undisturbed, _ = train("--epochs", 2, "--json", out=tmp_path / "undisturbed")
    sha256 = "weights_sha256"
    assert json.loads(stdout)[sha256] == json.loads(undisturbed)[sha256]


def test_a_loss_that_is_no_number_keeps_the_last_good_epoch(train, tmp_path, monkeypatch):
    constant = ["--schedule", "constant"]
    assert train("--epochs", 1, *constant)[0] == 0
    load_state = kept.load_state

    def explode(path, model, identity):
        done = load_state(path, model, identity)
        model.optimizer.learning_rate.assign(1e30)
        return done

    monkeypatch.setattr(kept, "load_state", explode)
    before = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    code, stdout, stderr = train("--epochs", 2, "--resume", "--json", *constant)
    assert code == 9
    assert "the checkpoint of epoch 1 is kept" in stderr
    assert json.loads(stdout)["error"]["exit_code"] == 9
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == before


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
