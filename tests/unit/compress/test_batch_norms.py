"""Averages taken anew are those of all images, and training goes on as before."""

import numpy as np
import pytest
import tf_keras
from living import patches

from allnet_edge.compress.batch_norms import renew_averages


@pytest.fixture
def small():
    inputs = tf_keras.Input((16, 16, 3))
    x = tf_keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = tf_keras.layers.BatchNormalization(momentum=0.7, name="bn")(x)
    x = tf_keras.layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(inputs, tf_keras.layers.Dense(1)(x))


def test_they_are_those_of_all_images(small):
    images = patches(12, 16)
    maps = tf_keras.Model(small.input, small.get_layer("conv").output).predict(images, verbose=0)
    renew_averages(small, [images[:4], images[4:8], images[8:]])
    norm = small.get_layer("bn")
    np.testing.assert_allclose(norm.moving_mean.numpy(), maps.mean(axis=(0, 1, 2)), rtol=1e-4)
    # Within Bessel's correction of the batches.
    np.testing.assert_allclose(norm.moving_variance.numpy(), maps.var(axis=(0, 1, 2)), rtol=5e-3)


def test_the_momentum_and_the_weights_stay(small):
    before = [weight.numpy() for weight in small.trainable_weights]
    renew_averages(small, [patches(4, 16)])
    assert small.get_layer("bn").momentum == 0.7
    for weight, old in zip(small.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


def test_an_image_alone_has_no_variance_and_is_passed_over(small):
    images = patches(5, 16)
    renew_averages(small, [images[:4], images[4:]])
    both = small.get_layer("bn").moving_variance.numpy().copy()
    renew_averages(small, [images[:4]])
    np.testing.assert_array_equal(small.get_layer("bn").moving_variance.numpy(), both)
    with pytest.raises(ValueError, match="two images"):
        renew_averages(small, [images[:1]])
    assert small.get_layer("bn").momentum == 0.7


def test_a_network_without_batch_norms_needs_no_images():
    inputs = tf_keras.Input((4,))
    renew_averages(tf_keras.Model(inputs, tf_keras.layers.Dense(1)(inputs)), [])
