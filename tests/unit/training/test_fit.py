"""One training run: what it leaves behind, and what it refuses."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from training_support import SETTINGS

from allnet_edge.data.images import load_batch
from allnet_edge.data.samples import LabelMap
from allnet_edge.errors import DataError, SplitError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.training import fit, kept
from allnet_edge.training.checkpoint import Epoch
from allnet_edge.training.fit import train

pytestmark = pytest.mark.xdist_group("training")
EPOCH_KEYS = {
    "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "val_weighted_f1", "val_auc",
    "seconds",
}  # fmt: skip


def history(folder: Path) -> list[dict[str, float]]:
    return json.loads((folder / "history.json").read_text())


def of_validation(folder: Path, cells) -> tuple[float, float]:
    """Accuracy and cross-entropy of a finished run, computed anew from its files."""
    model, network = float_model.instantiate(keras, folder)
    images = load_batch(cells.paths("validation"), model.spec.preprocess).astype(np.float32)
    scores = network.predict(images, verbose=0).ravel().astype(np.float64)
    truth = np.array(cells.truth("validation"))
    return ((scores >= 0.5) == truth).mean(), -np.log(np.where(truth, scores, 1 - scores)).mean()


class TestFinishedRun:
    def test_it_holds_the_files_of_the_contract(self, finished):
        names = {path.name for path in finished.folder.iterdir()}
        assert names >= {
            "model.safetensors", "model.json", "history.json", "split.json", "metrics.json",
            "train.log",
        }  # fmt: skip
        assert not [name for name in names if ".tmp-" in name]

    def test_history_has_every_epoch(self, finished):
        rows = history(finished.folder)
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        assert all(set(row) == EPOCH_KEYS for row in rows)
        assert all(0 <= row[name] <= 1 for row in rows for name in ("accuracy", "val_accuracy"))

    def test_it_learns(self, finished):
        rows = history(finished.folder)
        assert rows[-1]["loss"] < rows[0]["loss"]

    def test_the_best_epoch_is_kept_and_its_figures_hold_on_the_stored_weights(
        self, finished, cells
    ):
        best = max(history(finished.folder), key=lambda e: (e["val_accuracy"], -e["val_loss"]))
        told = json.loads((finished.folder / "metrics.json").read_text())["validation"]
        assert (told["n"], told["epoch"]) == (len(cells.paths("validation")), best["epoch"])
        assert told["accuracy"] == best["val_accuracy"]
        assert told["loss"] == pytest.approx(best["val_loss"], rel=1e-6)
        accuracy, loss = of_validation(finished.folder, cells)
        assert accuracy == pytest.approx(best["val_accuracy"])
        assert loss == pytest.approx(best["val_loss"], rel=1e-4)

    def test_metrics_say_on_what_they_were_measured_and_how_far_to_trust_them(
        self, finished, cells
    ):
        told = json.loads((finished.folder / "metrics.json").read_text())
        assert told["data"] == {"layout": "phantom", "split": "patient", "leaking": False}
        assert told["phantom"] is True
        assert "best of 3 epochs on this same part, hence optimistic" in told["note"]
        figures = told["validation"]
        truth = np.array(cells.truth("validation"))
        shares = [figures[name] * n for name, n in (
            ("sensitivity", truth.sum()), ("specificity", (truth == 0).sum()),
        )]  # fmt: skip
        assert sum(shares) == pytest.approx(figures["accuracy"] * figures["n"])
        assert set(figures["intervals"]) == {"accuracy", "sensitivity", "specificity"}

    def test_only_the_weights_of_the_best_epoch_are_kept(self, finished):
        best = json.loads((finished.folder / "metrics.json").read_text())["validation"]["epoch"]
        kept = [path.name for path in finished.folder.glob("best*")]
        assert kept == [f"best-{best}.safetensors"]

    def test_the_description_says_how_the_weights_came_to_be(self, finished):
        model = float_model.read(finished.folder)
        assert model == finished.model
        assert model.spec.classes == ("hem", "all")
        assert model.label_index == {"all": 1, "hem": 0}
        assert model.record.how == "train"
        told = {k: v for k, v in SETTINGS.model_dump(mode="json").items() if k != "layer_rates"}
        assert model.record.settings.items() >= told.items()
        assert json.loads(model.record.settings["layer_rates"]) == []
        assert model.record.versions["keras"] == keras.__version__
        assert keras.backend.backend() in model.record.versions

    def test_the_split_is_stored_and_named_by_its_hash(self, finished, cells):
        stored = (finished.folder / "split.json").read_bytes()
        assert type(cells.split).model_validate_json(stored) == cells.split
        assert len(finished.model.split_sha256) == 64

    def test_pixels_are_standardised_by_the_training_part_alone(self, finished, cells):
        preprocess = finished.model.spec.preprocess
        images = load_batch(cells.paths("train"), preprocess).astype(np.float64)
        assert preprocess.mean == pytest.approx((images.mean(),), abs=1e-6)
        assert preprocess.sd == pytest.approx((images.std(),), abs=1e-6)

    def test_progress_counts_every_batch(self, finished, cells):
        batches = -(-len(cells.paths("train")) // SETTINGS.batch_size)
        for epoch in (1, 2, 3):
            told = [line for line in finished.told if line.startswith(f"epoch {epoch}/3 ")]
            assert told == [f"epoch {epoch}/3 {n}/{batches}" for n in range(1, batches + 1)]

    def test_the_log_names_every_epoch(self, finished):
        text = (finished.folder / "train.log").read_text()
        assert all(f"epoch {number}/3: loss" in text for number in (1, 2, 3))


def test_the_same_seed_gives_the_same_weights(cells, zoo, finished, tmp_path):
    again = train(SETTINGS, cells.index, cells.split, cells.labels, tmp_path / "again")
    assert again.weights_sha256 == finished.model.weights_sha256


def test_another_seed_gives_others(cells, zoo, tmp_path):
    runs = [
        train(
            SETTINGS.model_copy(update={"seed": seed, "epochs": 1}),
            cells.index, cells.split, cells.labels, tmp_path / str(seed),
        )
        for seed in (5, 6)
    ]  # fmt: skip
    assert runs[0].weights_sha256 != runs[1].weights_sha256


class TestRefusals:
    def test_a_run_is_not_overwritten(self, cells, finished):
        before = (finished.folder / "model.safetensors").stat()
        with pytest.raises(UsageError, match="already holds a run") as caught:
            train(SETTINGS, cells.index, cells.split, cells.labels, finished.folder)
        assert caught.value.exit_code == 2
        assert "--resume" in caught.value.fix
        assert (finished.folder / "model.safetensors").stat() == before

    def test_a_split_that_does_not_fit_stops_before_anything_is_written(self, cells, tmp_path):
        first = cells.split.samples("train", cells.index)[0]
        changed = tuple(
            replace(sample, sha256=sample.sha256[::-1]) if sample == first else sample
            for sample in cells.index.samples
        )
        with pytest.raises(SplitError, match=f"1 image files changed .* {first.id}"):
            train(
                SETTINGS, replace(cells.index, samples=changed), cells.split, cells.labels,
                tmp_path / "run",
            )  # fmt: skip
        assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("zoo")
class TestDivergence:
    """A learning rate of 1e30, set where the settings (at most 1) cannot."""

    @pytest.fixture
    def started(self, cells, tmp_path, monkeypatch):
        """One good epoch, after which the learning rate explodes."""
        one = SETTINGS.model_copy(update={"epochs": 1})
        train(one, cells.index, cells.split, cells.labels, tmp_path)
        load_state = kept.load_state

        def explode(path, model, identity):
            done = load_state(path, model, identity)
            model.optimizer.learning_rate.assign(1e30)
            return done

        monkeypatch.setattr(kept, "load_state", explode)
        return tmp_path

    def test_it_stops_and_keeps_the_last_good_state(self, cells, started):
        before = {path.name: path.read_bytes() for path in started.glob("*.safetensors")}
        with pytest.raises(
            DataError, match="the loss became nan in epoch 2; the checkpoint of epoch 1 is"
        ) as caught:
            train(SETTINGS, cells.index, cells.split, cells.labels, started, resume=True)
        assert caught.value.exit_code == 9
        assert "--learning-rate" in caught.value.fix
        assert {p.name: p.read_bytes() for p in started.glob("*.safetensors")} == before
        assert len(history(started)) == 1

    def test_it_goes_on_from_there_with_a_sane_rate(self, cells, started, finished, monkeypatch):
        with pytest.raises(DataError):
            train(SETTINGS, cells.index, cells.split, cells.labels, started, resume=True)
        monkeypatch.undo()
        model = train(SETTINGS, cells.index, cells.split, cells.labels, started, resume=True)
        assert model.weights_sha256 == finished.model.weights_sha256


def test_weights_that_break_in_the_last_step_of_an_epoch_are_not_saved(
    cells, zoo, tmp_path, monkeypatch
):
    """The loss of a step is that before it: only the validation sees the last one."""
    score = fit._Run._scores

    def poisoned(self, used):
        for variable in used.network.trainable_variables:
            variable.assign(np.full(variable.shape, np.nan, np.float32))
        return score(self, used)

    monkeypatch.setattr(fit._Run, "_scores", poisoned)
    with pytest.raises(DataError, match="the validation loss became nan in epoch 1; nothing"):
        train(SETTINGS, cells.index, cells.split, cells.labels, tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_the_log_file_is_closed_and_no_global_logger_is_touched(finished):
    assert not [name for name in logging.root.manager.loggerDict if "train:" in name]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (1, 0.8),  # averages nearly replaced by each step
        (20, 0.8),
        (40, 0.9),  # settled within ten of them
        (400, 0.99),  # Keras' own
        (10_000, 0.99),
    ],
)
def test_batch_norm_averages_settle_within_a_quarter_of_an_epoch(steps, expected):
    assert fit._bn_momentum(steps) == expected


def test_more_than_two_classes_have_no_auc_to_select_by(cells, tmp_path):
    by_auc = SETTINGS.model_copy(update={"select": "auc"})
    labels = LabelMap(("all", "hem", "other"), {"all": 0, "hem": 1, "other": 2})
    with pytest.raises(UsageError, match="AUC of 3 classes"):
        train(by_auc, cells.index, cells.split, labels, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_best_epoch_is_that_of_the_best_value_then_of_the_lowest_loss():
    def row(epoch: int, accuracy: float, f1: float, loss: float, auc: float = 0.5) -> Epoch:
        return Epoch(
            epoch=epoch, loss=0, accuracy=0, val_loss=loss, val_accuracy=accuracy,
            val_weighted_f1=f1, val_auc=auc, seconds=0,
        )  # fmt: skip

    rows = (
        row(1, 0.8, 0.9, 0.5), row(2, 0.9, 0.7, 0.7), row(3, 0.9, 0.9, 0.6), row(4, 0.7, 0.1, 0.1),
    )  # fmt: skip
    by_f1 = SETTINGS.model_copy(update={"select": "weighted_f1"})
    assert fit._best(rows, SETTINGS) == 3
    assert fit._best(rows[:2], SETTINGS) == 2
    assert fit._best(rows[:2], by_f1) == 1
    assert fit._best(rows, by_f1) == 1
    assert fit._best(rows[1:], by_f1) == 3
    by_auc = SETTINGS.model_copy(update={"select": "auc"})
    assert fit._best((*rows, row(5, 0.6, 0.2, 0.4, auc=0.8)), by_auc) == 5
    assert fit._best(rows, by_auc) == 4
