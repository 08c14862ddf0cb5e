"""Parameters and multiply-accumulates against published counts and against Keras."""

import keras
import pytest

from allnet_edge import models
from allnet_edge.models.storage.size import macs_of, parameters_of
from allnet_edge.spec.network import NetworkSpec, Preprocess


@pytest.mark.parametrize(
    ("build", "millions"),
    [
        # Simonyan & Zisserman's VGG16 has 15.47 G MACs, 0.124 G of them in its dense layers.
        (keras.applications.VGG16, 15_346.6),
        (keras.applications.MobileNetV2, 299.5),  # Sandler et al. 2018: 300 M with the classifier
    ],
    ids=["VGG16", "MobileNetV2"],
)
def test_published_counts(build, millions):
    network = build(weights=None, include_top=False, input_shape=(224, 224, 3))
    assert macs_of(network) / 1e6 == pytest.approx(millions, rel=0.01)
    assert parameters_of(network) == network.count_params()


def test_a_grouped_convolution_counts_its_own_group():
    pixels = keras.Input((8, 8, 32))
    layer = keras.layers.Conv2D(64, 3, padding="same", groups=4, use_bias=False)
    assert macs_of(keras.Model(pixels, layer(pixels))) == 8 * 8 * 64 * 3 * 3 * 8


@pytest.mark.parametrize("name", models.network_names())
def test_the_zoo_is_counted_as_keras_counts_it(name):
    size = 96 if name == "allnet" else 80
    spec = NetworkSpec(
        network=name, preprocess=Preprocess(size=size), classes=("hem", "all"), width=0.25
    )
    network = models.build(keras, spec)
    assert parameters_of(network) == network.count_params()
    assert macs_of(network) > parameters_of(network) / 100
