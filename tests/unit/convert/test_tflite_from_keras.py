"""The float TFLite graph."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert.interpreter import Interpreter
from convert_support import SIZE, answers

from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.errors import ConversionError

pytestmark = pytest.mark.xdist_group("convert")


def test_it_answers_as_keras_does(small):
    found = answers(small.tflite, small.calibration)
    np.testing.assert_allclose(found, small.expected(small.calibration), atol=1e-5)


def test_it_has_one_signature_with_the_names_of_the_contract(small):
    interpreter = Interpreter(str(small.tflite))
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["pixels"], "outputs": ["probability"]}
    }
    (pixels,), (probability,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (pixels["dtype"], list(pixels["shape"])) == (np.float32, [1, SIZE, SIZE, 3])
    assert (probability["dtype"], list(probability["shape"])) == (np.float32, [1, 1])


def test_the_same_network_gives_the_same_bytes(small):
    assert tflite_from_keras(small.network, SIZE) == small.tflite.read_bytes()


def test_an_operator_that_tflite_does_not_have_is_named():
    inputs = tf_keras.Input((8, 8, 3))
    strange = tf_keras.layers.Lambda(lambda x: tf.math.digamma(x)[:, 0, 0, :1], name="strange")
    with pytest.raises(ConversionError, match="Digamma") as caught:
        tflite_from_keras(tf_keras.Model(inputs, strange(inputs)), 8)
    assert caught.value.exit_code == 4
    assert caught.value.fix
