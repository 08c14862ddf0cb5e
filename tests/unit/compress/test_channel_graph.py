"""Which channels belong together; without some a network is the one that has them at zero."""

import functools

import numpy as np
import pytest
import tf_keras
from living import SMALLEST, living

from allnet_edge import models
from allnet_edge.compress.channel_graph import channel_graph
from allnet_edge.compress.channel_groups import channel_groups, macs_of_kept
from allnet_edge.compress.rebuild import channels_left, without_channels
from allnet_edge.models.storage.size import macs_of
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.spec.network import NetworkSpec, Preprocess

pytestmark = pytest.mark.xdist_group("channels")


def some_of(graph):
    """Three quarters of the units of every group, at random."""
    kept = np.ones(graph.count, bool)
    rng = np.random.default_rng(2)
    for group in channel_groups(graph)[0]:
        kept[rng.permutation(group.units)[: len(group.units) // 4]] = False
    return kept


def silenced(arrays, graph, kept):
    """The whole network with all that makes the removed channels at zero."""
    changed = {name: array.copy() for name, array in arrays.items()}
    for name, array in changed.items():
        layer, _, variable = name.partition("/")
        if layer in graph.layers and variable != "moving_variance":
            gone = ~kept[graph.layers[layer].writes]
            if variable == "kernel" and graph.layers[layer].reads is None:
                array[..., gone, :] = 0  # depth-wise
            else:
                array[..., gone] = 0
    return changed


@pytest.fixture(scope="module", params=models.network_names())
def case(request):
    model, spec, images = living(request.param)
    return model, spec, images, channel_graph(model)


def test_the_rebuilt_network_is_the_whole_one_with_the_removed_channels_at_zero(case):
    model, spec, images, graph = case
    arrays, kept = arrays_of(model), some_of(graph)
    left = channels_left(graph, kept)
    small = models.build(tf_keras, spec.model_copy(update={"channels": left}))
    assign(small, without_channels(arrays, graph, kept))
    whole = model.predict(images, verbose=0)
    assign(model, silenced(arrays, graph, kept))
    expected = model.predict(images, verbose=0)
    assign(model, arrays)
    np.testing.assert_allclose(small.predict(images, verbose=0), expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3, "a constant would prove nothing"
    assert np.abs(expected - whole).max() > 1e-3, "the channels did not matter"
    assert macs_of(small) == macs_of_kept(graph, kept) < 0.75 * macs_of(model)


def test_all_that_can_be_pruned_can_and_only_the_answer_is_left_whole(case):
    model, _, _, graph = case
    groups, left = channel_groups(graph)
    assert left == {"logits": "it is the network's output"}
    pruned = [name for group in groups for name in group.layers]
    kernels = {name for name, layer in graph.layers.items() if layer.reads is not None}
    assert sorted(pruned) == sorted(kernels - {"logits"}), "each layer is in one group"
    assert macs_of_kept(graph, np.ones(graph.count, bool)) == macs_of(model)


@functools.cache
def groups_of(network):
    preprocess = Preprocess(size=SMALLEST.get(network, 48))
    spec = NetworkSpec(network=network, preprocess=preprocess, classes=("hem", "all"), width=0.25)
    return channel_groups(channel_graph(models.build(tf_keras, spec)))[0]


def test_a_residual_stream_is_one_group_and_the_inside_of_a_bottleneck_its_own():
    groups = {group.layers for group in groups_of("resnet50")}
    stream = ("conv3_block1_0_conv", *(f"conv3_block{n}_3_conv" for n in (1, 2, 3, 4)))
    assert any(set(stream) == set(group) for group in groups)
    assert ("conv3_block2_1_conv",) in groups
    assert ("conv3_block2_2_conv",) in groups


def test_a_group_of_a_grouped_convolution_goes_whole():
    group = next(g for g in groups_of("se_resnext50") if g.name == "stage3_block4_1_conv")
    assert group.layers == ("stage3_block4_1_conv", "stage3_block4_2_conv")
    assert (len(group.units), group.width) == (8, 16)


def test_an_excitation_is_tied_to_the_stream_that_it_weighs():
    group = next(g for g in groups_of("se_resnext50") if "stage2_block1_se_excite" in g.layers)
    assert {"stage2_block1_0_conv", "stage2_block1_3_conv"} <= set(group.layers)
    assert any(g.layers == ("stage2_block1_se_squeeze",) for g in groups_of("se_resnext50"))


def test_an_inverted_residual_is_widened_by_itself_and_narrowed_with_its_stream():
    groups = {group.layers for group in groups_of("mobilenetv2")}
    assert ("block_4_expand",) in groups
    assert ("block_3_project", "block_4_project", "block_5_project") in groups


def test_branches_that_are_concatenated_are_free_of_each_other():
    names = {group.layers for group in groups_of("allnet")}
    for free in ("mixed3_three_conv", "mixed3_double_3_conv", "tap1_vgg_fit", "fusion1"):
        assert (free,) in names


def test_a_flattened_map_repeats_its_channels(network):
    graph = channel_graph(network)
    reads = graph.layers["head_dense"].reads.reshape(9, 16)
    np.testing.assert_array_equal(reads, np.tile(graph.layers["head_conv"].writes, (9, 1)))


def test_a_layer_of_an_unknown_kind_fixes_what_it_touches_and_is_named():
    layers = tf_keras.layers
    pixels = tf_keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, name="before")(pixels)
    x = layers.Conv2DTranspose(8, 3, name="odd")(x)
    x = layers.Conv2D(8, 3, name="behind")(x)
    x = layers.Conv2D(8, 3, name="free")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = tf_keras.Model(pixels, layers.Dense(1, name="logits")(x))
    groups, left = channel_groups(channel_graph(model))
    assert [group.name for group in groups] == ["behind", "free"]
    assert "'odd' (Conv2DTranspose)" in left["before"]


def test_a_softmax_over_channels_ties_them_to_stay():
    layers = tf_keras.layers
    pixels = tf_keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, name="before")(pixels)
    x = layers.Activation("softmax", name="mixing")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = tf_keras.Model(pixels, layers.Dense(1, name="logits")(x))
    groups, left = channel_groups(channel_graph(model))
    assert groups == ()
    assert "'mixing'" in left["before"]
