"""Equalisation moves ranges between layers and changes no answer."""

import numpy as np
import pytest
import tf_keras
from living import living

from allnet_edge import models
from allnet_edge.compress.equalise import equalise, equalised_pairs
from allnet_edge.models.storage.weights import arrays_of, assign

pytestmark = pytest.mark.xdist_group("channels")
layers = tf_keras.layers


@pytest.mark.parametrize("network", models.network_names())
def test_not_one_bit_of_an_answer_of_the_zoo_changes(network):
    """Deep networks of random weights blow any rounding up to 1e-4: there must be none."""
    model, _, images = living(network, width=0.125, uneven=True)
    pairs = equalised_pairs(model)
    before, old, found = model.predict(images, verbose=0), arrays_of(model), equalise(model)
    assign(model, found)
    np.testing.assert_array_equal(model.predict(images, verbose=0), before)
    assert np.ptp(before) > 0.1, "a constant would prove nothing"
    for name in (f"{pair.reader}/kernel" for pair in pairs):
        assert (found[name] != old[name]).any(), name
    assert pairs
    if network == "mobilenetv2":  # ReLU6 lets nothing through
        assert all(pair.maker.endswith("_project") for pair in pairs)


def names(model):
    return [(pair.maker, pair.reader) for pair in equalised_pairs(model)]


def test_pairs_end_where_others_read_or_add(network):
    """Of the network of the tests: the inside of its residual block, and its head."""
    assert names(network) == [
        ("block_1_conv", "block_2_conv"), ("head_conv", "head_dense"), ("head_dense", "logits"),
    ]  # fmt: skip


def test_made_and_read_weights_reach_like_ranges():
    """Within a factor of two: the scales are powers of two."""
    inputs = tf_keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="a")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    model = tf_keras.Model(inputs, layers.Dense(2, name="b")(x))
    a, b = model.get_layer("a"), model.get_layer("b")
    a.kernel.assign(a.kernel.numpy() * [0.01, 1, 30, 0])
    arrays = equalise(model)
    made = np.abs(arrays["a/kernel"]).max(axis=(0, 1, 2))
    read = np.abs(arrays["b/kernel"]).reshape(9, 4, 2).max(axis=(0, 2))
    assert (np.abs(np.log2(made[:3] / read[:3])) <= 1 + 1e-6).all()
    assert made[3] == 0, "a dead channel stays as it is"
    np.testing.assert_array_equal(
        arrays["b/kernel"].reshape(9, 4, 2)[:, 3], b.kernel.numpy().reshape(9, 4, 2)[:, 3]
    )


@pytest.mark.parametrize(
    "between",
    [
        layers.ReLU(6.0),
        layers.Activation("sigmoid"),
        layers.ReLU(threshold=0.1),
        lambda x: layers.Add()([x, x]),
        lambda x: layers.Concatenate()([x, x]),
        lambda x: layers.BatchNormalization()(layers.ReLU()(x)),
        layers.Conv2D(4, 1, groups=2),
    ],
    ids=["relu6", "sigmoid", "threshold", "add", "concat", "norm-behind-relu", "grouped"],
)
def test_across_what_does_not_commute_there_is_no_pair(between):
    inputs = tf_keras.Input((8, 8, 3))
    x = between(layers.Conv2D(4, 3, name="a")(inputs))
    model = tf_keras.Model(inputs, layers.Conv2D(2, 1, name="b")(x))
    assert names(model) == []


@pytest.mark.parametrize("scale", [True, False])
def test_a_batch_norm_with_or_without_a_scale_and_a_depthwise_convolution(scale):
    """InceptionV3 has batch norms without a scale: their mean is divided instead."""
    rng = np.random.default_rng(0)
    inputs = tf_keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, name="a")(inputs)
    x = layers.BatchNormalization(scale=scale, name="a_bn")(x)
    x = layers.ZeroPadding2D(1)(layers.ReLU()(x))
    x = layers.DepthwiseConv2D(3, name="d")(x)
    x = layers.ReLU()(x)
    model = tf_keras.Model(inputs, layers.Conv2D(5, 1, name="b")(x))
    arrays = {
        n: rng.uniform(0.2, 2, a.shape).astype(np.float32) * 0.5
        for n, a in arrays_of(model).items()
    }
    arrays["a/kernel"] *= np.array([1, -0.01, 5, 0.3, -20, 1], np.float32)
    assign(model, arrays)
    assert names(model) == [("a", "d"), ("d", "b")]
    images = rng.uniform(0, 1, (3, 8, 8, 3)).astype(np.float32)
    before, found = model.predict(images, verbose=0), equalise(model)
    assign(model, found)
    np.testing.assert_array_equal(model.predict(images, verbose=0), before)
    assert (found["a_bn/beta"] != arrays["a_bn/beta"]).any()
    assert (found["a/kernel"] == arrays["a/kernel"]).all() == scale
    np.testing.assert_array_equal(found["a_bn/moving_variance"], arrays["a_bn/moving_variance"])
