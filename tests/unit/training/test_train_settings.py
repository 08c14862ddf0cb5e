"""From a recipe and flags to settings; a recipe's crop on images that are too small."""

from pathlib import Path

import pytest

from allnet_edge.errors import RecipeError, UnknownNameError, UsageError
from allnet_edge.spec.training import TrainSettings
from allnet_edge.training.settings import fit_crop, resolve

RECIPE = """
title = "Mine"
source = "my notes, 2026"
[train]
model = "custom_cnn"
epochs = 7
crop = 300
"""


def test_a_networks_own_recipe_is_where_it_starts():
    told = resolve("se_resnext50", None, {"epochs": None, "batch_size": 4})
    assert (told.crop, told.epochs, told.batch_size) == (300, 6, 4)
    assert (told.schedule, told.class_weights, told.tta_rotations) == ("step", "negative-share", 8)


def test_a_recipe_file_and_another_network_in_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE)
    assert resolve(None, path, {}).model == "custom_cnn"
    told = resolve("alnett", path, {"crop": 0})
    assert (told.model, told.epochs, told.crop) == ("alnett", 7, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"schedule": "linear"}, "schedule"),
        ({"epochs": 0}, "epochs"),
        ({"oversample": "smote", "class_weights": "balanced"}, "oversample and class_weights"),
    ],
)
def test_a_wrong_value_is_named(given, said):
    with pytest.raises(RecipeError, match=said):
        resolve("allnet", None, given)


def test_no_network_and_an_unknown_one():
    with pytest.raises(UsageError, match="neither --model nor --recipe") as caught:
        resolve(None, None, {})
    assert "custom_cnn" in (caught.value.fix or "")
    with pytest.raises(UnknownNameError, match="unknown model 'resnet51'") as caught:
        resolve("resnet51", None, {})
    assert "resnet50" in (caught.value.fix or "")


def test_a_recipe_that_is_not_there():
    with pytest.raises(RecipeError, match="cannot read"):
        resolve(None, Path("absent.toml"), {})


class TestCrop:
    CROPPED = TrainSettings(model="custom_cnn", crop=300)

    def test_one_that_does_not_fit_is_left_out_and_said(self, cells):
        settings, said = fit_crop(self.CROPPED, cells.index, asked=False)
        assert settings.crop is None
        assert said is not None
        assert "300 pixels is left out" in said
        assert "48" in said

    def test_one_that_was_asked_for_stays(self, cells):
        assert fit_crop(self.CROPPED, cells.index, asked=True) == (self.CROPPED, None)

    def test_one_that_fits_stays(self, cells):
        fitting = TrainSettings(model="custom_cnn", crop=48)
        assert fit_crop(fitting, cells.index, asked=False) == (fitting, None)
