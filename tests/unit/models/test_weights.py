"""Weights as named arrays: round trips, and errors that name the first layer that differs."""

import keras
import numpy as np
import pytest

from allnet_edge import models
from allnet_edge.errors import IntegrityError
from allnet_edge.models.storage.float_model import dump, undump
from allnet_edge.models.storage.weights import arrays_of, assign


@pytest.fixture
def arrays(either_keras, make_spec, build_trained):
    return arrays_of(build_trained(either_keras, make_spec("custom_cnn")))


@pytest.fixture
def fresh(either_keras, make_spec):
    return models.build(either_keras, make_spec("custom_cnn"))


def test_names_are_layer_and_variable_in_either_keras(arrays):
    assert list(arrays)[:4] == ["conv1/kernel", "conv1/bias", "conv2/kernel", "conv2/bias"]
    assert list(arrays)[-2:] == ["logits/kernel", "logits/bias"]


def test_a_depthwise_kernel_has_one_name_in_both(either_keras, make_spec):
    model = models.build(either_keras, make_spec("alnett"))
    names = [name for name in arrays_of(model) if name.startswith("cluster1_dilated2/")]
    assert names == ["cluster1_dilated2/kernel", "cluster1_dilated2/bias"]


def test_a_round_trip_through_a_file_changes_no_bit(arrays, fresh):
    assign(fresh, undump(dump(arrays), where="memory"))
    back = arrays_of(fresh)
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)
        assert back[name].dtype == array.dtype


def test_equal_weights_give_equal_bytes_whatever_their_order(arrays):
    assert dump(arrays) == dump(dict(reversed(arrays.items())))


def test_weights_without_c_order_are_stored_as_they_read(arrays):
    turned = {"a/kernel": np.arange(12.0, dtype=np.float32).reshape(3, 4).T}
    np.testing.assert_array_equal(undump(dump(turned), where="x")["a/kernel"], turned["a/kernel"])


def test_a_missing_layer_is_named(arrays, fresh):
    del arrays["conv2/bias"], arrays["dense/kernel"]
    with pytest.raises(IntegrityError, match="have no 'conv2/bias'"):
        assign(fresh, arrays)


def test_an_unknown_layer_is_named(arrays, fresh):
    arrays["conv9/kernel"] = np.zeros(3, np.float32)
    with pytest.raises(IntegrityError, match="no 'conv9/kernel'"):
        assign(fresh, arrays)


def test_the_first_shape_that_differs_is_named_with_both_shapes(arrays, fresh):
    arrays["conv2/kernel"] = arrays["conv2/kernel"][..., :4]
    arrays["conv3/kernel"] = arrays["conv3/kernel"][..., :4]
    with pytest.raises(IntegrityError, match=r"'conv2/kernel'.*\(3, 3, 8, 4\).*\(3, 3, 8, 8\)"):
        assign(fresh, arrays)


def test_a_refused_assignment_changes_nothing(arrays, fresh):
    before = arrays_of(fresh)
    with pytest.raises(IntegrityError):
        assign(fresh, arrays | {"conv9/kernel": np.zeros(3, np.float32)})
    for name, array in arrays_of(fresh).items():
        np.testing.assert_array_equal(array, before[name])


def test_weights_of_another_width_are_refused(arrays, make_spec):
    wide = models.build(keras, make_spec("custom_cnn", width=0.5))
    with pytest.raises(IntegrityError, match="width"):
        assign(wide, arrays)
