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


@pytest.fixture
def in_float64():
    """Rounding, which deep networks of random weights blow up to 1e-4, is then out of the way."""
    tf_keras.backend.set_floatx("float64")
    yield
    tf_keras.backend.set_floatx("float32")


@pytest.mark.parametrize("network", models.network_names())
def test_no_answer_of_the_zoo_changes(network, in_float64):
    model, _, images = living(network, width=0.125)
    before, arrays = model.predict(images, verbose=0), equalise(model)
    pairs, old = equalised_pairs(model), arrays_of(model)
    assign(model, arrays)
    np.testing.assert_allclose(model.predict(images, verbose=0), before, atol=1e-6)
    assert np.ptp(before) > 0.1, "a constant would prove nothing"
    for name in (f"{pair.reader}/kernel" for pair in pairs):
        assert np.abs(arrays[name] / np.where(old[name], old[name], 1) - 1).max() > 0.01, name
    assert pairs
    if network == "mobilenetv2":  # ReLU6 lets nothing through
        assert all(pair.maker.endswith("_project") for pair in pairs)


def test_no_answer_changes_in_float32(network, images):
    pixels = images.source.rows(np.arange(8)).astype(np.float32)
    arrays = arrays_of(network)
    before = network.predict(pixels, verbose=0)
    assign(network, equalise(network))
    after = network.predict(pixels, verbose=0)
    assign(network, arrays)
    np.testing.assert_allclose(after, before, atol=1e-5)


def names(model):
    return [(pair.maker, pair.reader) for pair in equalised_pairs(model)]


def test_pairs_end_where_others_read_or_add(network):
    """Of the network of the tests: the inside of its residual block, and its head."""
    assert names(network) == [
        ("block_1_conv", "block_2_conv"), ("head_conv", "head_dense"), ("head_dense", "logits"),
    ]  # fmt: skip


def test_made_and_read_weights_reach_the_same_range():
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
    np.testing.assert_allclose(made[:3], read[:3], rtol=1e-4)
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
    np.testing.assert_allclose(model.predict(images, verbose=0), before, rtol=1e-5, atol=1e-5)
    assert (found["a_bn/beta"] != arrays["a_bn/beta"]).all()
    assert (found["a/kernel"] == arrays["a/kernel"]).all() == scale
    np.testing.assert_array_equal(found["a_bn/moving_variance"], arrays["a_bn/moving_variance"])
