"""The recipes of the package: they load, name what exists, and print what the papers print."""

import re

import keras
import pytest

from allnet_edge import models
from allnet_edge.errors import RecipeError, UnknownNameError
from allnet_edge.measure.metrics import Confusion
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.spec.system import load_system, read_system, system_names


def test_every_network_has_a_recipe_and_every_recipe_a_network():
    assert set(system_names()) == set(models.network_names())
    assert all(load_system(name).train.model == name for name in system_names())


@pytest.mark.parametrize("name", system_names())
def test_it_names_its_source_and_what_is_ours(name):
    system = load_system(name)
    assert re.search(r"\b20\d\d\b", system.source)
    assert system.ours
    assert system.published


# Counts that reproduce every digit the papers print.
@pytest.mark.parametrize(
    ("name", "line", "counts"),
    [
        ("allnet", 0, Confusion(tp=1432, fn=67, tn=549, fp=90)),
        ("allnet", 1, Confusion(tp=1397, fn=50, tn=573, fp=119)),
        ("vgg16", 0, Confusion(tp=1368, fn=131, tn=475, fp=164)),
        ("resnet50", 0, Confusion(tp=1380, fn=119, tn=459, fp=180)),
        ("inceptionv3", 0, Confusion(tp=1499, fn=0, tn=0, fp=639)),
        ("se_resnext50", 0, Confusion(tp=1142, fn=77, tn=536, fp=112)),
    ],
)
def test_the_published_figures_are_those_of_the_papers_counts(name, line, counts):
    published = load_system(name).published[line]
    for figure in ("accuracy", "sensitivity", "specificity", "balanced_accuracy", "weighted_f1"):
        printed = getattr(published, figure)
        if printed is not None:
            assert printed == pytest.approx(100 * getattr(counts, figure), abs=0.051), figure


@pytest.mark.parametrize("name", ["vgg16", "se_resnext50"])
def test_layers_that_a_recipe_speaks_of_are_in_the_network(name):
    train = load_system(name).train
    spec = NetworkSpec(
        network=name, preprocess=Preprocess(size=64), classes=("hem", "all"), width=0.125
    )
    layers = [layer.name for layer in models.build(keras, spec).layers if layer.weights]
    patterns = [rate.layers for rate in train.layer_rates] + (
        [train.freeze] if train.freeze else []
    )
    assert patterns
    for pattern in patterns:
        assert [layer for layer in layers if re.fullmatch(pattern, layer)], pattern


def test_vgg_freezes_the_first_ten_layers_of_its_paper():
    train = load_system("vgg16").train
    spec = NetworkSpec(
        network="vgg16", preprocess=Preprocess(size=64), classes=("hem", "all"), width=0.125
    )
    layers = [layer.name for layer in models.build(keras, spec).layers]
    frozen = [layer for layer in layers if re.fullmatch(train.freeze or "", layer)]
    assert frozen == [
        "block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2", "block3_conv1",
        "block3_conv2", "block3_conv3",
    ]  # fmt: skip


def test_an_unknown_system_and_an_unknown_key(tmp_path):
    with pytest.raises(UnknownNameError, match="allnt") as caught:
        load_system("allnt")
    assert "allnet" in (caught.value.fix or "")
    path = tmp_path / "mine.toml"
    path.write_text('title = "t"\nsource = "s"\n[train]\nmodel = "allnet"\nepoch = 3\n')
    with pytest.raises(RecipeError, match=r"train.epoch, did you mean epochs\?"):
        read_system(path)
