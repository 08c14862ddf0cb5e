"""Mixed precision, event files, and a pass that ends at the first loss that is no number."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from training_support import SETTINGS, scalars_in

from allnet_edge.data.images import load_batch
from allnet_edge.errors import DataError
from allnet_edge.models.storage import float_model
from allnet_edge.spec.training import TrainRuntime
from allnet_edge.training.fit import train
from allnet_edge.training.tensorboard import scalars_to


def test_bfloat16_computes_in_it_and_keeps_float32_weights(cells, zoo, tmp_path):
    told = SETTINGS.model_copy(update={"precision": "bfloat16", "epochs": 1})
    before = keras.config.dtype_policy().name
    model = train(told, cells.index, cells.split, cells.labels, tmp_path)
    assert keras.config.dtype_policy().name == before
    assert model is not None
    assert model.record.settings["precision"] == "bfloat16"
    _, arrays = float_model.load(tmp_path)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    images = load_batch(cells.paths("validation"), model.spec.preprocess).astype(np.float32)
    scores = float_model.instantiate(keras, tmp_path)[1].predict(images, verbose=0)
    assert scores.dtype == np.float32
    told_of = json.loads((tmp_path / "metrics.json").read_text())["validation"]
    right = (scores.ravel() >= 0.5) == np.array(cells.truth("validation"))
    # Judged in bfloat16; one cell near the threshold may fall to the other side.
    assert right.mean() == pytest.approx(told_of["accuracy"], abs=1.5 / len(right))
    plain = train(
        SETTINGS.model_copy(update={"epochs": 1}), cells.index, cells.split, cells.labels,
        tmp_path / "float32",
    )  # fmt: skip
    assert plain is not None
    assert plain.weights_sha256 != model.weights_sha256


@pytest.mark.parametrize(
    "runtime",
    [TrainRuntime(workers=2), TrainRuntime(cache="cache")],
    ids=["worker processes", "pixel cache"],
)
def test_how_pixels_come_changes_nothing(cells, zoo, finished, tmp_path, runtime):
    if runtime.cache is not None:
        runtime = runtime.model_copy(update={"cache": tmp_path / "cache"})
    for again in ("first", "second"):
        model = train(
            SETTINGS, cells.index, cells.split, cells.labels, tmp_path / again, runtime=runtime
        )
        assert model is not None
        assert model.weights_sha256 == finished.model.weights_sha256


def test_a_loss_that_is_no_number_ends_the_pass_at_that_batch(cells, zoo, tmp_path, monkeypatch):
    """A learning rate beyond all reason, set where the settings (at most 1) cannot."""
    real = keras.optimizers.Adam
    monkeypatch.setattr(keras.optimizers, "Adam", lambda _: real(1e30))
    told: list[str] = []
    with pytest.raises(DataError, match=r"loss became (nan|inf)") as caught:
        train(
            SETTINGS.model_copy(update={"batch_size": 2, "augment": "none"}),
            cells.index, cells.split, cells.labels, tmp_path,
            progress=lambda what, done, total: told.append(f"{what} {done}/{total}"),
        )  # fmt: skip
    assert caught.value.exit_code == 9
    batches = [line for line in told if line.startswith("epoch 1/3 ")]
    done, total = map(int, batches[-1].split()[-1].split("/"))
    assert done < total
    assert not list(tmp_path.glob("*.safetensors"))


class TestEventFiles:
    @pytest.mark.usefixtures("zoo")
    def test_a_run_that_was_resumed_has_every_epoch_once(self, cells, tmp_path):
        runtime = TrainRuntime(tensorboard=True)
        for epochs in (2, 3):
            told = SETTINGS.model_copy(update={"epochs": epochs})
            train(
                told, cells.index, cells.split, cells.labels, tmp_path, runtime=runtime, resume=True
            )
        scalars = scalars_in(tmp_path / "tensorboard")
        assert {epoch for _, epoch in scalars} == {1, 2, 3}
        for epoch in json.loads((tmp_path / "history.json").read_text()):
            for name, key in (
                ("loss/train", "loss"), ("accuracy/train", "accuracy"),
                ("loss/validation", "val_loss"), ("accuracy/validation", "val_accuracy"),
                ("weighted_f1/validation", "val_weighted_f1"),
                ("auc/validation", "val_auc"),
            ):  # fmt: skip
                assert scalars[name, epoch["epoch"]] == pytest.approx(epoch[key], rel=1e-6)
            assert scalars["learning_rate", epoch["epoch"]] == pytest.approx(3e-3)
            assert scalars["images_per_second", epoch["epoch"]] > 0

    def test_values_can_be_read_back(self, tmp_path):
        with scalars_to(tmp_path, 0) as note:
            note({"loss/train": 0.5}, 1)
            note({"loss/train": 0.25}, 2)
        assert scalars_in(tmp_path) == {("loss/train", 1): 0.5, ("loss/train", 2): 0.25}

    def test_a_resumed_run_goes_on_behind_what_it_has(self, tmp_path):
        for done, loss in ((0, 0.5), (1, 0.25)):
            with scalars_to(tmp_path, done) as note:
                note({"loss/train": loss}, done + 1)
        assert scalars_in(tmp_path) == {("loss/train", 1): 0.5, ("loss/train", 2): 0.25}

    def test_nowhere(self):
        with scalars_to(None, 0) as note:
            note({"loss/train": 0.5}, 1)

    def test_no_tensorflow_is_needed(self, tmp_path):
        script = (
            "import sys\n"
            "from pathlib import Path\n"
            "from allnet_edge.training.tensorboard import scalars_to\n"
            f"with scalars_to(Path({str(tmp_path)!r}), 0) as note:\n"
            "    note({'a': 1.0}, 1)\n"
            "sys.exit('tensorflow' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
        assert scalars_in(tmp_path) == {("a", 1): 1.0}
