"""Bytes and arithmetic, counted by hand."""

import pytest
from onnx import TensorProto
from roofline_graphs import QDQ, conv, model_of, node, quantized, weight

from allnet_edge.roofline.estimate import kernels_of
from allnet_edge.roofline.graph import read_graph

X = {"x": (1, 8, 16, 16)}
SAME = {"pads": [1, 1, 1, 1]}
PLACES = 16 * 16


def kernels(nodes, precision, constants, inputs=X, kind=TensorProto.FLOAT):
    return kernels_of(read_graph(model_of(nodes, inputs, ("y",), constants, kind)), precision)


@pytest.mark.parametrize(("precision", "width"), [("fp32", 4), ("fp16", 2)])
def test_a_float_graph_in_a_precision(precision, width):
    (found,) = kernels([conv("x", "w", "y", **SAME)], precision, {"w": weight(32, 8, 3, 3)})
    assert found.read_bytes == width * 8 * PLACES
    assert found.weight_bytes == width * 32 * 8 * 9
    assert found.written_bytes == width * 32 * PLACES
    assert found.macs == 32 * 8 * 9 * PLACES
    assert found.arithmetic == precision


def test_a_residual_is_read_too():
    nodes = [conv("x", "w", "a", **SAME), node("Add", ["a", "z"], "y")]
    inputs = {**X, "z": (1, 8, 16, 16)}
    (found,) = kernels(nodes, "fp16", {"w": weight(8, 8, 3, 3)}, inputs)
    assert found.read_bytes == 2 * 2 * 8 * PLACES


def test_a_float_graph_taken_as_int8():
    """The image enters and the answer leaves as they are; between them are bytes."""
    nodes = [
        conv("x", "w", "a", **SAME),
        node("Relu", ["a"], "b"),
        conv("b", "w", "c", **SAME),
        node("Relu", ["c"], "y"),
    ]
    first, second = kernels(nodes, "int8", {"w": weight(8, 8, 3, 3)})
    size = 8 * PLACES
    assert (first.read_bytes, first.written_bytes) == (2 * size, size)
    assert (second.read_bytes, second.written_bytes) == (size, 2 * size)
    assert first.weight_bytes == 8 * 8 * 9
    assert {first.arithmetic, second.arithmetic} == {"int8"}


def test_q_and_dq_say_what_is_int8():
    nodes = [
        *quantized("x", "xi"),
        *quantized("w", "wi"),
        conv("xi", "wi", "a", **SAME),
        node("Relu", ["a"], "b"),
        *quantized("b", "bi"),
        conv("bi", "wi", "c", **SAME),
        node("Relu", ["c"], "d"),
        conv("d", "w", "y", **SAME),
    ]
    one, two, three = kernels(nodes, "int8", {"w": weight(8, 8, 3, 3), **QDQ})
    size = 8 * PLACES
    assert [k.arithmetic for k in (one, two, three)] == ["int8", "int8", "fp32"]
    assert (one.read_bytes, one.written_bytes) == (4 * size, size)
    assert (two.read_bytes, two.written_bytes) == (size, 4 * size)
    assert three.weight_bytes == 4 * 8 * 8 * 9


def test_what_is_read_as_float_too_is_stored_as_float():
    nodes = [
        *quantized("w", "wi"),
        node("Relu", ["x"], "a"),
        *quantized("a", "ai"),
        conv("ai", "wi", "b", **SAME),
        node("Add", ["b", "a"], "y"),
    ]
    relu, joined = kernels(nodes, "int8", {"w": weight(8, 8, 3, 3), **QDQ})
    assert relu.written_bytes == 4 * 8 * PLACES
    assert joined.arithmetic == "int8"


def test_pixels_are_read_as_bytes():
    nodes = [
        node("Cast", ["x"], "f", to=TensorProto.FLOAT),
        node("Mul", ["f", "c"], "y"),
    ]
    model = model_of(nodes, X, ("y",), {"c": weight(1)}, TensorProto.UINT8)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    (found,) = kernels_of(read_graph(model), "fp32")
    assert (found.read_bytes, found.written_bytes) == (8 * PLACES, 4 * 8 * PLACES)
    assert found.arithmetic == "fp32"


def test_a_float16_graph_stays_so():
    nodes = [conv("x", "w", "y", **SAME)]
    constants = {"w": weight(8, 8, 3, 3).astype("float16")}
    (found,) = kernels(nodes, "fp32", constants, kind=TensorProto.FLOAT16)
    assert found.arithmetic == "fp16"
    assert found.read_bytes == 2 * 8 * PLACES


def test_a_copied_part_is_read_and_written_once():
    nodes = [conv("x", "w", "a", **SAME), node("Concat", ["a", "x"], "y", axis=1)]
    _, copy = kernels(nodes, "fp16", {"w": weight(24, 8, 3, 3)})
    assert copy.read_bytes == copy.written_bytes == 2 * 8 * PLACES
