"""What training does about unequal classes: weights in the loss, blends of the training part."""

import json
import shutil

import keras
import numpy as np
import pytest
from in_memory_pixels import InMemory
from PIL import Image
from training_support import SETTINGS, Cells

from allnet_edge.data.images import load_batch
from allnet_edge.errors import RecipeError
from allnet_edge.models.storage import float_model
from allnet_edge.progress import silent
from allnet_edge.training import fit
from allnet_edge.training.fit import train
from allnet_edge.training.loader import KerasBatches
from allnet_edge.training.rows import Rows, balanced


def rows_of(labels: list[int]) -> Rows:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(labels), 32, 32, 3), np.uint8)
    return Rows(InMemory(images), np.array(labels))


def told(**how: object):
    return SETTINGS.model_copy(update=how)


class TestWeights:
    def test_negative_share_weighs_a_positive_cell_by_the_share_of_the_negative(self):
        """As in Prellberg & Kramer: 3 of 8 cells are healthy."""
        rows = balanced(
            rows_of([1, 0, 1, 1, 0, 1, 0, 1]), 2, told(class_weights="negative-share"), silent
        )
        expected = [0.375, 1, 0.375, 0.375, 1, 0.375, 1, 0.375]
        np.testing.assert_allclose(rows.weights, expected)
        assert rows.weights.dtype == np.float32

    def test_balanced_gives_every_class_the_same_sum(self):
        rows = balanced(rows_of([0, 2, 1, 2, 2, 1]), 3, told(class_weights="balanced"), silent)
        np.testing.assert_allclose(rows.weights, [2, 2 / 3, 1, 2 / 3, 2 / 3, 1])

    def test_none(self):
        rows = rows_of([0, 1, 1])
        assert balanced(rows, 2, told(), silent) is rows
        assert rows.weights is None

    def test_negative_share_is_for_two_classes(self):
        with pytest.raises(RecipeError, match="is for two classes, not 3") as caught:
            balanced(rows_of([0, 1, 2]), 3, told(class_weights="negative-share"), silent)
        assert caught.value.exit_code == 2
        assert "balanced" in caught.value.fix

    @pytest.mark.usefixtures("zoo")
    def test_the_loss_is_that_of_torchs_positive_weight(self, cells, tmp_path):
        """One batch, hardly a step: the loss that is told is that of the weights that are kept."""
        settings = told(
            model="plain", epochs=1, batch_size=64, learning_rate=1e-12, augment="none",
            class_weights="negative-share",
        )  # fmt: skip
        train(settings, cells.index, cells.split, cells.labels, tmp_path)
        (epoch,) = json.loads((tmp_path / "history.json").read_text())
        model, network = float_model.instantiate(keras, tmp_path)
        images = load_batch(cells.paths("train"), model.spec.preprocess).astype(np.float32)
        p = network.predict(images, verbose=0).ravel().astype(np.float64)
        y = np.array(cells.truth("train"))
        weight = (y == 0).mean()
        loss = -(weight * y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
        assert epoch["loss"] == pytest.approx(loss, rel=1e-4)
        assert abs(loss + (y * np.log(p) + (1 - y) * np.log(1 - p)).mean()) > 0.05  # unweighted


class TestSmote:
    def test_classes_are_filled_behind_the_rows_that_are_there(self):
        rows = rows_of([0, 1, 1, 2, 1, 0])
        full = balanced(rows, 3, told(oversample="smote"), silent)
        assert len(full) == 9
        assert full.weights is None
        assert np.bincount(full.labels).tolist() == [3, 3, 3]
        np.testing.assert_array_equal(full.labels[:6], rows.labels)
        np.testing.assert_array_equal(full.source.rows(np.arange(6)), rows.source.images)

    def test_a_blend_lies_between_two_of_its_class(self):
        """Zeros and hundreds: what lies between is of neither."""
        rows = rows_of([0, 0, 1, 1, 1, 1, 1, 1])
        rows.source.images[:2] = np.array([0, 100]).reshape(2, 1, 1, 1)
        full = balanced(rows, 2, told(oversample="smote"), silent)
        blends = full.source.rows(np.arange(8, 12))
        assert (full.labels[8:] == 0).all()
        assert blends.max() <= 100
        assert (blends == blends[:, :1, :1, :1]).all()
        assert ((blends > 0) & (blends < 100)).any()

    def test_progress_counts_the_images(self):
        told_of = []
        balanced(rows_of([0, 1] * 200), 2, told(oversample="smote"), lambda *a: told_of.append(a))
        assert told_of == [("neighbours for SMOTE", n, 400) for n in (256, 400)]

    @pytest.fixture
    def coloured(self, cells, tmp_path) -> Cells:
        """Training cells have no green, all others nothing but green."""
        root = shutil.copytree(cells.root, tmp_path / "cells")
        training = {path.relative_to(cells.root) for path in cells.paths("train")}
        for sample in cells.index.samples:
            path = root / cells.index.path(sample).relative_to(cells.root)
            pixels = np.array(Image.open(path))
            blank = [1] if path.relative_to(root) in training else [0, 2]
            pixels[..., blank] = 0
            Image.fromarray(pixels).save(path)
        return Cells.of(root)

    @pytest.mark.usefixtures("zoo")
    def test_a_run_blends_images_of_the_training_part_only(self, coloured, tmp_path, monkeypatch):
        handed: list[tuple[int, np.ndarray]] = []

        class Seen(KerasBatches):
            def __getitem__(self, number):
                batch = super().__getitem__(number)
                handed.append((number, *batch[:2]))
                return batch

        monkeypatch.setattr(fit, "KerasBatches", Seen)
        settings = told(oversample="smote", epochs=1, augment="none")
        train(settings, coloured.index, coloured.split, coloured.labels, tmp_path / "run")
        pixels = np.concatenate([batch for _, batch, _ in handed])
        green = pixels[..., 1].any(axis=(1, 2))
        other = pixels[..., [0, 2]].any(axis=(1, 2, 3))
        assert not (green & other).any()
        # Keras looks twice at the first batches of a pass on TensorFlow: count each once.
        passed = dict(_of_training(handed))
        counts = np.bincount(np.concatenate(list(passed.values())).ravel().astype(int))
        truth = np.bincount(coloured.truth("train"))
        assert truth.min() < truth.max()
        assert counts.tolist() == [truth.max()] * 2


def _of_training(handed):
    for number, pixels, labels in handed:
        if not pixels[..., 1].any():
            yield number, labels
