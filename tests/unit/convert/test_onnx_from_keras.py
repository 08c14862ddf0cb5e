"""The float ONNX graph: the same answers, in the one form that every TensorRT takes."""

import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf2onnx
import tf_keras
from convert_support import SIZE, answers, model_of, of_type, users
from onnx import helper

from allnet_edge.convert.onnx_cleanup import count_transposes, shapes
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.errors import ConversionError

pytestmark = pytest.mark.xdist_group("convert")


@pytest.fixture(params=["small", "allnet"])
def converted(request):
    return request.getfixturevalue(request.param)


class TestGraph:
    def test_it_answers_as_keras_does(self, converted):
        expected = converted.expected(converted.calibration)
        assert expected.std() > 0.05
        found = answers(converted.onnx, converted.calibration)
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_one_transpose_is_left_and_it_is_that_of_the_input(self, converted):
        graph = converted.graph()
        (transpose,) = of_type(graph, "Transpose")
        assert count_transposes(onnx.load(converted.onnx)) == 1
        assert {node.op_type for node in users(graph, transpose.output[0])} == {"Conv"} or (
            shapes(graph)[transpose.output[0]][1] == 3
        )

    def test_batch_norms_are_folded(self, converted):
        assert not of_type(converted.graph(), "BatchNormalization")

    def test_no_reshape_changes_nothing(self, converted):
        graph = converted.graph()
        known = shapes(graph)
        for node in of_type(graph, "Reshape"):
            assert known[node.input[0]] != known[node.output[0]], node.name

    def test_pixels_go_in_as_uint8_nhwc_one_at_a_time(self, converted):
        graph, side = converted.graph(), converted.calibration.shape[1]
        (pixels,), (probability,) = graph.input, graph.output
        assert (pixels.name, probability.name) == ("pixels", "probability")
        assert pixels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        assert probability.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert shapes(graph)["pixels"] == (1, side, side, 3)
        assert shapes(graph)["probability"] == (1, 1)

    def test_it_is_opset_17_checked_and_fully_static(self, converted):
        model = onnx.load(converted.onnx)
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
        onnx.checker.check_model(model, full_check=True)
        known = shapes(model.graph)
        assert all(value in known for node in model.graph.node for value in node.output)

    def test_names_are_unique_and_tell_the_layer(self, converted):
        names = [node.name for node in converted.graph().node]
        assert len(set(names)) == len(names)
        network = converted.network.name
        for layer in ("standardise", "logits", "probability", "head_conv", "head_dense"):
            assert any(name.startswith(f"{network}/{layer}/") for name in names), layer


def test_the_same_network_gives_the_same_bytes(small):
    """Whatever was exported before it: tf2onnx counts its names through the process."""
    again = onnx_from_keras(small.network, SIZE).SerializeToString(deterministic=True)
    assert again == onnx.load(small.onnx).SerializeToString(deterministic=True)


def test_nothing_of_the_machine_is_in_the_file(small):
    model = onnx.load(small.onnx)
    assert model.graph.name == "allnet-edge"
    assert not model.doc_string + model.graph.doc_string
    assert not any(node.doc_string for node in model.graph.node)
    assert b".py" not in small.onnx.read_bytes()


def test_more_than_two_classes(small):
    images = small.calibration[:2]
    inputs = tf_keras.Input((SIZE, SIZE, 3))
    x = tf_keras.layers.GlobalAveragePooling2D()(inputs)
    network = tf_keras.Model(inputs, tf_keras.layers.Dense(4, activation="softmax")(x))
    path = small.folder / "softmax.onnx"
    onnx.save(onnx_from_keras(network, SIZE), path)
    expected = network.predict(images.astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers(path, images), expected, atol=1e-5)


def test_an_operator_that_onnx_does_not_have_is_named():
    inputs = tf_keras.Input((8, 8, 3))
    strange = tf_keras.layers.Lambda(lambda x: tf.math.digamma(x)[:, 0, 0, :1], name="strange")
    with pytest.raises(ConversionError, match="Digamma") as caught:
        onnx_from_keras(tf_keras.Model(inputs, strange(inputs)), 8)
    assert caught.value.exit_code == 4
    assert caught.value.fix


def test_a_graph_whose_shapes_contradict_each_other_is_refused(small, monkeypatch):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    wrong = model_of(nodes, {"x": [1, 3]}, {"y": [1, 2]}, {"w": np.ones((4, 2), np.float32)})
    monkeypatch.setattr(tf2onnx.convert, "from_function", lambda *_, **__: (wrong, None))
    with pytest.raises(ConversionError, match="cannot be written as ONNX"):
        onnx_from_keras(small.network, SIZE)
