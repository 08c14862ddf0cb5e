"""Layers that keep the weights they came with."""

import keras
import numpy as np
import pytest
from training_support import SETTINGS

from allnet_edge.errors import RecipeError
from allnet_edge.models.storage import float_model
from allnet_edge.training.fit import train
from allnet_edge.training.freeze import freeze


def network() -> keras.Model:
    pixels = keras.Input((4,))
    x = keras.layers.Dense(3, name="block1_dense")(pixels)
    x = keras.layers.Dense(3, name="block10_dense")(x)
    return keras.Model(pixels, keras.layers.Dense(1, name="logits")(x))


def test_the_expression_has_to_match_the_whole_name():
    model = network()
    assert freeze(model, "block1_.*|logit") == ["block1_dense"]
    assert [v.path for v in model.trainable_variables] == [
        "block10_dense/kernel", "block10_dense/bias", "logits/kernel", "logits/bias",
    ]  # fmt: skip


def test_an_expression_that_matches_nothing_is_refused():
    with pytest.raises(RecipeError, match=r"no layer of .* is called 'stem'") as caught:
        freeze(network(), "stem")
    assert "block1_dense" in caught.value.fix


def test_frozen_layers_stay_and_the_others_learn(cells, zoo, finished, tmp_path):
    settings = SETTINGS.model_copy(
        update={
            "weights": str(finished.folder / "model.safetensors"), "freeze": "stem_.*", "epochs": 1,
        }
    )  # fmt: skip
    train(settings, cells.index, cells.split, cells.labels, tmp_path)
    _, before = float_model.load(finished.folder)
    _, after = float_model.load(tmp_path)
    for name, array in after.items():
        assert np.array_equal(array, before[name]) == name.startswith("stem_"), name
    assert "frozen: 3 layers" in (tmp_path / "train.log").read_text()


def test_random_layers_are_not_frozen(cells, zoo, tmp_path):
    """They would learn nothing."""
    settings = SETTINGS.model_copy(update={"freeze": "stem_.*", "epochs": 1})
    train(settings, cells.index, cells.split, cells.labels, tmp_path)
    assert "frozen" not in (tmp_path / "train.log").read_text()
