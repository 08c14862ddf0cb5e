"""Importance is what the loss changes by to first order, and what batch norms say."""

import numpy as np
import pytest
import tf_keras

from allnet_edge.compress.channel_graph import channel_graph
from allnet_edge.compress.importance import bn_scale, taylor
from allnet_edge.models.storage.weights import arrays_of, assign

pytestmark = pytest.mark.xdist_group("channels")
STEP = 2e-3


@pytest.fixture(scope="module")
def graph(network):
    return channel_graph(network)


def batches_of(images):
    pixels = images.source.rows(np.arange(len(images.source))).astype(np.float32)
    labels = np.array(images.labels, np.float32)[:, None]
    return [(pixels[at : at + 8], labels[at : at + 8]) for at in (0, 8, 16)]


def loss_with(network, logits_of, readers, share, batch):
    """Cross-entropy where everything that reads a unit sees ``share`` of it."""
    before = arrays_of(network)
    arrays = dict(before)
    for name, inputs in readers.items():
        kernel = arrays[f"{name}/kernel"].copy()
        kernel[..., inputs, :] *= share
        arrays[f"{name}/kernel"] = kernel
    assign(network, arrays)
    logits = logits_of.predict_on_batch(batch[0]).astype(np.float64)
    assign(network, before)
    return float(np.mean(np.logaddexp(0, logits) - batch[1] * logits))


def test_taylor_is_the_square_of_the_first_order_change_of_the_loss(network, graph, images):
    """Against central differences; channels read once, twice and through flattening."""
    batches = batches_of(images)
    found = taylor(network, graph, batches)
    logits_of = tf_keras.Model(network.input, network.get_layer("logits").output)
    checked = 0
    for layer in ("stem_conv", "block_1_conv", "left", "right_conv", "head_conv", "head_dense"):
        for unit in graph.layers[layer].writes[:3]:
            readers = {
                name: one.reads == unit
                for name, one in graph.layers.items()
                if one.reads is not None
            }
            slopes = [
                (
                    loss_with(network, logits_of, readers, 1 + STEP, batch)
                    - loss_with(network, logits_of, readers, 1 - STEP, batch)
                )
                / (2 * STEP)
                for batch in batches
            ]
            expected = np.mean(np.square(slopes))
            assert found[unit] == pytest.approx(expected, rel=0.05, abs=1e-9), (layer, unit)
            checked += expected > 1e-8
    assert checked >= 8


def test_the_network_is_left_as_it_was(network, graph, images):
    before = {name: array.copy() for name, array in arrays_of(network).items()}
    taylor(network, graph, batches_of(images))
    for name, array in arrays_of(network).items():
        np.testing.assert_array_equal(array, before[name])
    assert all(layer.trainable for layer in network.layers)


def test_more_than_two_classes(images):
    inputs = tf_keras.Input((32, 32, 3))
    x = tf_keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = tf_keras.layers.GlobalAveragePooling2D()(x)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(3, name="logits")(x))
    pixels, labels = batches_of(images)[0]
    found = taylor(model, channel_graph(model), [(pixels, labels + 1)])
    assert (found[channel_graph(model).layers["conv"].writes] > 0).any()


def test_no_images_are_an_error(network, graph):
    with pytest.raises(ValueError, match="no batches"):
        taylor(network, graph, [])


def test_bn_scale_sums_the_batch_norms_of_a_unit_and_is_silent_where_there_are_none(network, graph):
    arrays = arrays_of(network)
    found = bn_scale(arrays, graph)
    stem, block = arrays["stem_bn/gamma"], arrays["block_2_bn/gamma"]
    np.testing.assert_allclose(
        found[graph.layers["stem_conv"].writes], np.abs(stem) + np.abs(block), rtol=1e-6
    )
    np.testing.assert_allclose(
        found[graph.layers["right_conv"].writes], np.abs(arrays["right_bn/gamma"]), rtol=1e-6
    )
    assert np.isnan(found[graph.layers["left"].writes]).all()
