"""A run that was killed goes on where it stood, and ends as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from training_support import SETTINGS, Cells

from allnet_edge.data.split import Split
from allnet_edge.errors import IntegrityError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.spec.training import TrainSettings
from allnet_edge.training import fit, kept
from allnet_edge.training.fit import train

pytestmark = pytest.mark.xdist_group("training")
SCRIPT = Path(__file__).with_name("train_cells.py")
CHECKPOINT = "checkpoint.safetensors"


def in_a_process(
    cells: Cells, out: Path, settings: TrainSettings, *how: str
) -> "subprocess.CompletedProcess[str]":
    chosen = {"KERAS_BACKEND": keras.backend.backend(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(
        [sys.executable, SCRIPT, cells.root, out, settings.model_dump_json(), *how],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | chosen,
    )


def test_killed_in_the_middle_of_an_epoch_it_resumes_to_the_very_same_bytes(
    cells, finished, tmp_path
):
    killed = in_a_process(cells, tmp_path, SETTINGS, "kill=2:3")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(json.loads((tmp_path / "history.json").read_text())) == 1
    assert not (tmp_path / "model.json").exists()
    resumed = in_a_process(cells, tmp_path, SETTINGS, "resume")
    assert resumed.returncode == 0, resumed.stderr
    for name in ("model.safetensors", CHECKPOINT, "model.json", "split.json", "metrics.json"):
        same = (tmp_path / name).read_bytes() == (finished.folder / name).read_bytes()
        assert same or name == CHECKPOINT, name  # its history has the seconds
    ours, theirs = (load_file(folder / CHECKPOINT) for folder in (tmp_path, finished.folder))
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
    assert "resumed after epoch 1" in (tmp_path / "train.log").read_text()


class Killed(BaseException):
    """As sudden as a kill, for moments that lie between two writes."""


@pytest.mark.parametrize(
    "moment", [("save_state", 1), ("save_state", 2), ("write_json", 2)], ids=lambda m: m[0]
)
def test_killed_between_two_writes_it_resumes_to_the_very_same_weights(
    cells, finished, tmp_path, monkeypatch, moment
):
    name, call = moment
    original, calls = getattr(kept, name), []

    def killing(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise Killed
        return original(*arguments)

    monkeypatch.setattr(kept, name, killing)
    with pytest.raises(Killed):
        train(SETTINGS, cells.index, cells.split, cells.labels, tmp_path)
    monkeypatch.undo()
    model = train(SETTINGS, cells.index, cells.split, cells.labels, tmp_path, resume=True)
    assert model.weights_sha256 == finished.model.weights_sha256
    assert len(json.loads((tmp_path / "history.json").read_text())) == SETTINGS.epochs


def test_a_kill_before_the_checkpoint_leaves_the_weights_that_it_names(
    cells, finished, tmp_path, monkeypatch
):
    """Epoch 2 becomes the best and its weights are written; then the kill."""
    one = SETTINGS.model_copy(update={"epochs": 1})
    train(one, cells.index, cells.split, cells.labels, tmp_path)
    first = (tmp_path / "best-1.safetensors").read_bytes()

    def killed(*_):
        raise Killed

    monkeypatch.setattr(kept, "save_state", killed)
    monkeypatch.setattr(fit, "_best", lambda history, _: history[-1]["epoch"])
    with pytest.raises(Killed):
        train(SETTINGS, cells.index, cells.split, cells.labels, tmp_path, resume=True)
    assert (tmp_path / "best-2.safetensors").is_file()
    monkeypatch.undo()
    train(one, cells.index, cells.split, cells.labels, tmp_path, resume=True)
    assert json.loads((tmp_path / "metrics.json").read_text())["validation"]["epoch"] == 1
    assert (tmp_path / "model.safetensors").read_bytes() == first
    assert [path.name for path in tmp_path.glob("best*")] == ["best-1.safetensors"]


def test_a_kill_while_finishing_leaves_no_run_that_looks_finished(
    cells, zoo, tmp_path, monkeypatch
):
    one = SETTINGS.model_copy(update={"epochs": 1})
    train(one, cells.index, cells.split, cells.labels, tmp_path)

    def killed(*_arguments, **_settings):
        raise Killed

    monkeypatch.setattr(fit.float_model, "save", killed)
    two = SETTINGS.model_copy(update={"epochs": 2})
    with pytest.raises(Killed):
        train(two, cells.index, cells.split, cells.labels, tmp_path, resume=True)
    assert not (tmp_path / "model.json").exists()


def test_weights_of_the_best_epoch_that_are_gone_are_missed_at_once(cells, finished, tmp_path):
    copy = shutil.copytree(finished.folder, tmp_path / "copy")
    (best,) = copy.glob("best*")
    best.unlink()
    with pytest.raises(IntegrityError, match="the best one so far, are missing") as caught:
        train(SETTINGS, cells.index, cells.split, cells.labels, copy, resume=True)
    assert caught.value.where == str(best)


def test_more_epochs_of_a_finished_run_are_a_continuation(cells, zoo, finished, tmp_path):
    short = SETTINGS.model_copy(update={"epochs": 1})
    train(short, cells.index, cells.split, cells.labels, tmp_path)
    model = train(SETTINGS, cells.index, cells.split, cells.labels, tmp_path, resume=True)
    assert model.weights_sha256 == finished.model.weights_sha256


@pytest.mark.parametrize("augment", ["dihedral", "affine"])
def test_a_resumed_run_draws_the_augmentation_of_an_undisturbed_one(cells, zoo, tmp_path, augment):
    turned = SETTINGS.model_copy(update={"augment": augment, "translation": 0.2, "epochs": 2})
    whole = train(turned, cells.index, cells.split, cells.labels, tmp_path / "whole")
    for epochs in (1, 2):
        part = turned.model_copy(update={"epochs": epochs})
        train(part, cells.index, cells.split, cells.labels, tmp_path / "parts", resume=True)
    whole_state, parts = (load_file(tmp_path / f / CHECKPOINT) for f in ("whole", "parts"))
    assert whole_state.keys() == parts.keys()
    for name, array in whole_state.items():
        np.testing.assert_array_equal(parts[name], array, err_msg=name)
    assert float_model.read(tmp_path / "parts").weights_sha256 == whole.weights_sha256


def test_resuming_a_finished_run_changes_nothing(cells, zoo, finished, tmp_path):
    again = shutil.copytree(finished.folder, tmp_path / "again")
    model = train(SETTINGS, cells.index, cells.split, cells.labels, again, resume=True)
    assert model == finished.model


def test_resume_without_anything_to_resume_starts(cells, zoo, tmp_path):
    one = SETTINGS.model_copy(update={"epochs": 1})
    train(one, cells.index, cells.split, cells.labels, tmp_path / "new", resume=True)
    assert float_model.read(tmp_path / "new").spec.network == "mini"


@pytest.mark.parametrize(
    "changed",
    [
        {"learning_rate": 1e-3},
        {"batch_size": 4},
        {"seed": 6},
        {"augment": "none"},
        {"input_size": 48},
        {"per_channel": True},
        {"schedule": "cosine"},
        {"model": "custom_cnn"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_settings_are_refused(cells, zoo, finished, tmp_path, changed):
    copy = shutil.copytree(finished.folder, tmp_path / "copy")
    before = (copy / CHECKPOINT).read_bytes()
    other = SETTINGS.model_copy(update=changed)
    with pytest.raises(UsageError, match="other settings or other data") as caught:
        train(other, cells.index, cells.split, cells.labels, copy, resume=True)
    assert caught.value.exit_code == 2
    assert (copy / CHECKPOINT).read_bytes() == before


def test_another_split_is_refused(cells, zoo, finished, tmp_path):
    copy = shutil.copytree(finished.folder, tmp_path / "copy")
    other = Split.model_validate(cells.split.model_dump() | {"why": "another one"})
    with pytest.raises(UsageError, match="other settings or other data"):
        train(SETTINGS, cells.index, other, cells.labels, copy, resume=True)


def test_a_cosine_run_cannot_be_prolonged_since_its_schedule_would_change(cells, zoo, tmp_path):
    cosine = SETTINGS.model_copy(update={"schedule": "cosine", "epochs": 1})
    train(cosine, cells.index, cells.split, cells.labels, tmp_path)
    longer = cosine.model_copy(update={"epochs": 2})
    with pytest.raises(UsageError, match="other settings"):
        train(longer, cells.index, cells.split, cells.labels, tmp_path, resume=True)


class TestDamagedCheckpoint:
    @pytest.fixture
    def copy(self, finished, tmp_path) -> Path:
        return shutil.copytree(finished.folder, tmp_path / "copy")

    @pytest.fixture
    def resume(self, cells, copy):
        longer = SETTINGS.model_copy(update={"epochs": 4})
        return lambda: train(longer, cells.index, cells.split, cells.labels, copy, resume=True)

    @pytest.mark.parametrize("keep", [0, 4, 300, -1])
    def test_a_cut_file(self, copy, resume, keep):
        data = (copy / CHECKPOINT).read_bytes()
        (copy / CHECKPOINT).write_bytes(data[:keep])
        with pytest.raises(IntegrityError, match="cannot be read") as caught:
            resume()
        assert caught.value.exit_code == 7
        assert caught.value.where == str(copy / CHECKPOINT)

    def test_weights_that_are_no_checkpoint(self, copy, resume):
        shutil.copyfile(copy / "model.safetensors", copy / CHECKPOINT)
        with pytest.raises(UsageError, match="other settings or other data"):
            resume()

    def test_a_missing_variable_is_named(self, copy, resume):
        from safetensors import safe_open

        with safe_open(copy / CHECKPOINT, framework="np") as stored:
            meta = stored.metadata()
        arrays = load_file(copy / CHECKPOINT)
        del arrays["random_symmetry/0"]
        save_file(arrays, copy / CHECKPOINT, metadata=meta)
        with pytest.raises(IntegrityError, match="random_symmetry/0"):
            resume()
