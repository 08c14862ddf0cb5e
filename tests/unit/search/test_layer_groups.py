"""Layers of a graph, its blocks and its parts."""

import pytest
import tf_keras

from allnet_edge import models
from allnet_edge.models.storage.size import macs_of
from allnet_edge.search.groups import Layer, blocks, layers_of, parts
from allnet_edge.spec.network import NetworkSpec, Preprocess


@pytest.fixture(scope="module")
def allnet():
    spec = NetworkSpec(
        network="allnet", preprocess=Preprocess(size=96), classes=("a", "b"), width=0.0625
    )
    network = models.build(tf_keras, spec)
    return network, layers_of(network)


def test_every_layer_but_the_last_is_there_with_its_macs(allnet):
    network, layers = allnet
    weighted = [one.name for one in network.layers if hasattr(one, "kernel")]
    assert {layer.name for layer in layers} == set(weighted) - {"logits"}
    logits = network.get_layer("logits").kernel.shape
    assert sum(layer.macs for layer in layers) == macs_of(network) - logits[0] * logits[1]


def test_parts_are_the_three_towers_and_the_head(allnet):
    _, layers = allnet
    found = {group.name: group for group in parts(layers, "allnet")}
    assert list(found) == ["vgg", "resnet", "inception", "head"]
    assert len([n for n in found["vgg"].names if n.startswith("block")]) == 13
    assert len([n for n in found["resnet"].names if n.startswith("conv")]) == 53
    assert len([n for n in found["inception"].names if not n.startswith("tap")]) == 94
    assert found["head"].names == {"fusion1", "fusion2", "head_conv", "head_dense"}
    assert sum(len(group.layers) for group in found.values()) == len(layers)


def test_a_network_of_one_tower_is_one_part(allnet):
    _, layers = allnet
    (whole,) = parts(layers, "resnet50")
    assert whole.name == "resnet50"
    assert whole.layers == layers


@pytest.mark.parametrize(
    ("names", "block"),
    [
        (("conv2_block1_1_conv", "conv2_block1_0_conv"), "conv2_block1"),
        (("mixed8_three_1_conv", "mixed8_seven_4_conv"), "mixed8"),
        (("block3_conv1", "block3_conv3"), "block3"),
        (("block_12_expand", "block_12_project"), "block_12"),
        (("tap1_vgg_reduce", "tap1_vgg_fit"), "tap1_vgg"),
        (("stage1_block2_1_conv", "stage1_block2_se_squeeze"), "stage1_block2"),
        (("cluster2_dilated1", "cluster2_mix"), "cluster2"),
        (("stem_1_conv", "stem_5_conv"), "stem"),
        (("Conv1",), "Conv1"),
    ],
)
def test_blocks_are_the_first_words_of_names(names, block):
    layers = [Layer(name, 7) for name in (*names, "other9_conv")]
    first, other = blocks(layers)
    assert first.name == block
    assert first.names == set(names)
    assert first.macs == 7 * len(names)
    assert other.name == "other9"
