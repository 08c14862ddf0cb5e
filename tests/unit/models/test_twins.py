"""Every network of the zoo is the same in Keras 3 and in tf-keras."""

from collections.abc import Iterator
from types import ModuleType

import keras
import numpy as np
import pytest
import tf_keras

from allnet_edge import models
from allnet_edge.errors import UnknownNameError
from allnet_edge.models.storage.weights import arrays_of, assign

# At its published width ALLNet takes a minute, and its towers are compared by themselves.
CASES = [
    (network, width)
    for network in models.network_names()
    for width in (0.125, 1.0)
    if (network, width) != ("allnet", 1.0)
]


@pytest.mark.parametrize(("network", "width"), CASES)
def test_twins_agree_within_1e_5(network, width, make_spec, build_trained, pixels):
    spec = make_spec(network, width=width)
    original = build_trained(keras, spec)
    twin = models.build(tf_keras, spec)
    images = pixels(3, 96)
    assign(twin, arrays_of(original))
    expected = original.predict(images, verbose=0)
    np.testing.assert_allclose(twin.predict(images, verbose=0), expected, atol=1e-5)
    assert expected.std() > 1e-4, "a constant would prove nothing"


@pytest.mark.parametrize("network", models.network_names())
def test_twins_name_their_weights_alike_and_in_one_order(network, make_spec):
    spec = make_spec(network)
    ours, twin = (
        [(name, array.shape) for name, array in arrays_of(models.build(k, spec)).items()]
        for k in (keras, tf_keras)
    )
    assert ours == twin


@pytest.mark.parametrize("network", models.network_names())
def test_more_than_two_classes_make_a_softmax(network, make_spec, pixels):
    spec = make_spec(network, classes=("benign", "early", "pre", "pro"))
    model = models.build(tf_keras, spec)
    probabilities = model.predict(pixels(2, 96), verbose=0)
    assert probabilities.shape == (2, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("mean", "sd"), [((31.5,), (47.25,)), ((10.0, 20.0, 30.0), (40.0, 50.0, 60.0))]
)
def test_pixels_are_standardised_inside_the_graph(either_keras, make_spec, pixels, mean, sd):
    spec = make_spec("custom_cnn", mean=mean, sd=sd)
    model = models.build(either_keras, spec)
    inner = either_keras.Model(model.inputs, model.get_layer("standardise").output)
    images = pixels(2, 96)
    expected = (images - np.array(mean)) / np.array(sd)
    np.testing.assert_allclose(inner.predict(images, verbose=0), expected, atol=1e-4)


@pytest.fixture
def in_bfloat16(either_keras) -> Iterator[ModuleType]:
    """Layers compute in bfloat16, as in mixed-precision training."""
    policies = either_keras.mixed_precision
    change = getattr(policies, "set_global_policy", None) or policies.set_dtype_policy
    change("mixed_bfloat16")
    yield either_keras
    change("float32")


@pytest.mark.parametrize("network", ["se_resnext50", "mobilenetv2", "vgg16"])
def test_pixels_and_probabilities_stay_float32_where_the_rest_is_not(
    in_bfloat16, make_spec, network, pixels
):
    model = models.build(in_bfloat16, make_spec(network, size=64))
    kinds = {layer.name: layer.compute_dtype for layer in model.layers}
    floats = {"standardise", "logits", "probability"}
    assert {kinds[name] for name in floats} == {"float32"}
    assert {kinds[name] for name in kinds.keys() - floats - {"pixels"}} == {"bfloat16"}
    inner = in_bfloat16.Model(model.inputs, model.get_layer("standardise").output)
    found = inner.predict(pixels(1, 64), verbose=0)
    np.testing.assert_allclose(found, (pixels(1, 64) - 31.5) / 47.25, atol=1e-6)
    model.compile("adam", "binary_crossentropy", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(pixels(2, 64), np.array([0, 1])))
    probabilities = model.predict(pixels(8, 64), verbose=0)
    assert probabilities.dtype == np.float32
    assert all(array.dtype == np.float32 for array in arrays_of(model).values())


def test_the_zoo_holds_networks_and_not_what_they_are_made_of():
    assert "allnet" in models.network_names()
    assert not {"towers", "storage"} & set(models.network_names())


def test_an_unknown_network_is_refused_with_the_nearest(make_spec):
    with pytest.raises(UnknownNameError, match="did you mean allnet"):
        models.build(keras, make_spec("allnt"))
