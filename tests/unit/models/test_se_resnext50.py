"""SE-ResNeXt50: its published size, its maps, its paddings, the two forms of its convolutions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from allnet_edge import models
from allnet_edge.models.storage.weights import arrays_of
from allnet_edge.models.towers.grouped import grouped_convolution


@pytest.fixture(scope="module")
def published(make_spec):
    return models.build(keras, make_spec("se_resnext50", size=300, width=1.0))


def test_the_published_network_has_25_512_945_parameters(published):
    assert sum(int(np.prod(w.shape)) for w in published.trainable_weights) == 25_512_945


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("stem_relu", (150, 150, 64)),
        ("stem_pool", (75, 75, 64)),
        ("stage1_block3_out", (75, 75, 256)),
        ("stage2_block4_out", (38, 38, 512)),
        ("stage3_block6_out", (19, 19, 1024)),
        ("stage4_block3_out", (10, 10, 2048)),
        ("stage4_block3_2_conv", (10, 10, 1024)),
        ("stage4_block3_se_squeeze", (1, 1, 128)),
    ],
)
def test_maps_of_the_published_network(published, layer, expected):
    assert tuple(published.get_layer(layer).output.shape[1:]) == expected


def test_every_3x3_convolution_is_in_32_groups(published):
    grouped = [layer for layer in published.layers if layer.name.endswith("_2_conv")]
    assert [layer.groups for layer in grouped] == [32] * 16


# A border that is even, one that is odd before the pool, and one that is odd everywhere.
@pytest.mark.parametrize("size", [64, 66, 75])
def test_it_is_the_network_of_pytorch(make_spec, build_trained, pixels, size):
    torch = pytest.importorskip("torch", reason="PyTorch, the reference, is not installed")
    from torch_se_resnext import load, network

    spec = make_spec("se_resnext50", size=size, width=1.0)
    ours, theirs = build_trained(keras, spec), network().eval()
    assert sum(p.numel() for p in theirs.parameters()) == 25_512_945
    load(theirs, arrays_of(ours))
    images = pixels(3, size)
    standardised = (images - spec.preprocess.mean[0]) / spec.preprocess.sd[0]
    with torch.no_grad():
        logits = theirs(torch.tensor(standardised, dtype=torch.float32).permute(0, 3, 1, 2))
    expected = torch.sigmoid(logits).numpy()
    np.testing.assert_allclose(ours.predict(images, verbose=0), expected, atol=2e-5)
    assert expected.std() > 0.01


@pytest.mark.parametrize("groups_and_channels", [(32, 128), (32, 1024), (4, 16), (6, 96), (5, 160)])
@pytest.mark.parametrize(("stride", "padding"), [(1, "same"), (2, "valid")])
def test_training_and_deployment_compute_the_same(
    either_keras, groups_and_channels, stride, padding
):
    groups, channels = groups_and_channels
    layer = grouped_convolution(either_keras)(
        channels, 3, strides=stride, padding=padding, groups=groups, use_bias=False
    )
    x = np.random.default_rng(0).normal(size=(2, 9, 9, channels)).astype(np.float32)
    deployed, trained = (np.asarray(layer(x, training=training)) for training in (False, True))
    assert layer.kernel.shape == (3, 3, channels // groups, channels)
    one_by_one = [
        tf.nn.conv2d(mine, kernel, stride, padding.upper()).numpy()
        for mine, kernel in zip(
            np.split(x, groups, axis=-1),
            np.split(layer.get_weights()[0], groups, axis=-1),
            strict=True,
        )
    ]
    expected = np.concatenate(one_by_one, axis=-1)
    np.testing.assert_allclose(deployed, expected, atol=1e-5)
    np.testing.assert_allclose(trained, expected, atol=1e-5)


def test_its_gradient_is_that_of_the_groups_one_by_one(either_keras):
    layer = grouped_convolution(either_keras)(64, 3, padding="same", groups=4, use_bias=False)
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 64)).astype(np.float32)
    layer(x)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x, training=True) ** 2)
    found = tape.gradient(loss, layer.trainable_variables[0])
    kernel = tf.Variable(layer.get_weights()[0])
    with tf.GradientTape() as tape:
        loss = sum(
            tf.reduce_sum(
                tf.nn.conv2d(x[..., at : at + 16], kernel[..., at : at + 16], 1, "SAME") ** 2
            )
            for at in range(0, 64, 16)
        )
    np.testing.assert_allclose(found, tape.gradient(loss, kernel), rtol=1e-4, atol=1e-3)


def test_pruning_knows_its_kernel():
    layer = grouped_convolution(tf_keras)(16, 3, groups=4, use_bias=False)
    layer(np.zeros((1, 5, 5, 16), np.float32))
    again = layer.__class__.from_config(layer.get_config())
    assert again.groups == 4
    assert [weight.shape for weight in layer.get_prunable_weights()] == [(3, 3, 4, 16)]
