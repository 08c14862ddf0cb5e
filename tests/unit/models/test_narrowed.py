"""A network with fewer channels in single layers: one definition, both Kerases, old files."""

import json

import keras
import numpy as np
import pytest
import tf_keras

from allnet_edge import models
from allnet_edge.errors import RecipeError
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.models.towers.narrowed import narrowed
from allnet_edge.spec.network import NetworkSpec

CASES = {
    "se_resnext50": {
        "stage1_block1_1_conv": 16, "stage1_block1_2_conv": 16, "stage2_block1_se_squeeze": 4,
    },
    "mobilenetv2": {"block_4_expand": 40, "Conv_1": 96},
    "alnett": {"cluster2_mix": 4, "head_dense": 8},
    "vgg16": {"block5_conv3": 24, "head_conv2": 40, "head_dense1": 16},
}  # fmt: skip


@pytest.mark.parametrize("network", CASES)
def test_twins_agree_and_keep_names_and_order(network, make_spec, pixels):
    spec = make_spec(network, size=64, width=0.25)
    small = spec.model_copy(update={"channels": CASES[network]})
    original, twin = (models.build(kind, small) for kind in (keras, tf_keras))
    assert list(arrays_of(original)) == list(arrays_of(models.build(keras, spec)))
    assign(twin, arrays_of(original))
    images = pixels(2, 64)
    np.testing.assert_allclose(
        original.predict(images, verbose=0), twin.predict(images, verbose=0), atol=1e-5
    )
    for name, count in CASES[network].items():
        assert original.get_layer(name).output.shape[-1] == count
    assert original.name == network


def test_a_grouped_convolution_has_fewer_groups_of_the_same_width(make_spec):
    spec = make_spec("se_resnext50", size=64, width=0.25)
    whole = models.build(tf_keras, spec).get_layer("stage1_block1_2_conv")
    channels = dict.fromkeys(("stage1_block1_1_conv", "stage1_block1_2_conv"), 16)
    small = models.build(tf_keras, spec.model_copy(update={"channels": channels}))
    layer = small.get_layer("stage1_block1_2_conv")
    assert (whole.groups, layer.groups) == (8, 4)
    assert layer.kernel.shape[:3] == whole.kernel.shape[:3]


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ({"conv9": 8}, "no layer 'conv9'"),
        ({"conv2_pool": 8}, "'conv2_pool' has no channels of its own"),
        ({"conv2": 0}, "'conv2' has 16 channels, it cannot be given 0"),
        ({"conv2": 17}, "'conv2' has 16 channels, it cannot be given 17"),
    ],
)
def test_what_does_not_fit_the_network_is_refused(make_spec, channels, told):
    model = models.build(tf_keras, make_spec("custom_cnn", width=0.25))
    with pytest.raises(RecipeError, match=told):
        narrowed(tf_keras, model, channels)


@pytest.mark.parametrize("kind", [keras, tf_keras], ids=["keras3", "tf_keras"])
def test_layers_that_are_added_have_to_agree(kind, make_spec):
    spec = make_spec("resnet50", size=64)
    with pytest.raises(RecipeError, match="do not fit together"):
        models.build(kind, spec.model_copy(update={"channels": {"conv2_block2_3_conv": 8}}))


def test_part_of_a_group_is_refused(make_spec):
    spec = make_spec("se_resnext50", size=64, width=0.25)
    channels = dict.fromkeys(("stage1_block1_1_conv", "stage1_block1_2_conv"), 14)
    with pytest.raises(RecipeError, match="groups of 4 channels, 14 is no multiple"):
        models.build(tf_keras, spec.model_copy(update={"channels": channels}))


def test_a_network_that_was_not_pruned_is_described_as_before(make_spec):
    spec = make_spec()
    written = spec.model_dump(mode="json")
    assert "channels" not in written
    assert NetworkSpec.model_validate(written) == spec
    assert "channels" not in json.loads(spec.model_dump_json())
    pruned = spec.model_copy(update={"channels": {"fusion1": 8}})
    assert pruned.model_dump(mode="json")["channels"] == {"fusion1": 8}
    assert NetworkSpec.model_validate_json(pruned.model_dump_json()) == pruned
