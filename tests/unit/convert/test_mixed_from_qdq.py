"""Int8 with islands of float16, and what lies between layers that stay float."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert.schema_py_generated import TensorType
from convert_support import answers, of_type, ranges_of, users

from allnet_edge.convert.int8_from_tflite import int8_from_tflite
from allnet_edge.convert.mixed_from_qdq import mixed_from_qdq
from allnet_edge.convert.nodes_of_layers import nodes_of_layers
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.tflite_graph import read_graph

pytestmark = pytest.mark.xdist_group("convert")
HALVED = ("block_1_conv", "block_2_conv", "left")
FLOAT16 = onnx.TensorProto.FLOAT16


@pytest.fixture(scope="module")
def mixed(small) -> Path:
    nodes = [node for layer in HALVED for node in nodes_of_layers(small.onnx)[layer]]
    quantized, path = small.folder / "partly.onnx", small.folder / "mixed.onnx"
    qdq_from_onnx(small.onnx, quantized, ranges_of(small), keep_float=nodes)
    mixed_from_qdq(quantized, path, nodes)
    return path


def kinds(path: Path) -> dict[str, int]:
    """Element type of every value that is known."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True)
    return {one.name: one.type.tensor_type.elem_type for one in model.graph.value_info}


def layer_of(node: onnx.NodeProto) -> str:
    return node.name.split("/")[1]


def test_the_layers_that_were_given_back_are_half_and_no_others(mixed, small):
    found = kinds(mixed)
    graph = small.graph(mixed)
    half = {
        layer_of(node)
        for node in of_type(graph, "Conv", "MatMul", "Gemm")
        if found.get(node.output[0]) == FLOAT16
    }
    assert half == set(HALVED)


def test_an_island_has_no_cast_inside(mixed, small):
    graph, found = small.graph(mixed), kinds(mixed)
    for conv in of_type(graph, "Conv"):
        if layer_of(conv) != "block_1_conv":
            continue
        (relu,) = users(graph, conv.output[0])
        assert relu.op_type == "Relu"
        assert found[relu.output[0]] == FLOAT16
        assert layer_of(users(graph, relu.output[0])[0]) == "block_2_conv"


def test_quantize_linear_reads_float32_since_opset_17_knows_no_other(mixed, small):
    found = kinds(mixed)
    pairs = of_type(small.graph(mixed), "QuantizeLinear")
    assert pairs
    assert all(found.get(node.input[0]) != FLOAT16 for node in pairs)


def test_its_answers_lie_between_those_of_int8_and_of_float(mixed, small):
    expected = small.expected(small.calibration)
    whole = small.folder / "whole_int8.onnx"
    qdq_from_onnx(small.onnx, whole, ranges_of(small))
    error = {
        path: float(np.square(answers(path, small.calibration).ravel() - expected).sum())
        for path in (mixed, whole)
    }
    assert 0 < error[mixed] < error[whole]


def test_tensorrt_builds_it(mixed):
    rtx = pytest.importorskip("tensorrt_rtx")
    from allnet_edge.convert.engine_from_onnx import EngineBuilder

    assert len(EngineBuilder(rtx).build(mixed, sm=86).engine) > 1000


def test_all_layers_kept_is_the_float_graph_again(small):
    nodes = [node for names in nodes_of_layers(small.onnx).values() for node in names]
    path = small.folder / "nothing_quantized.onnx"
    qdq_from_onnx(small.onnx, path, ranges_of(small), keep_float=nodes)
    assert not of_type(small.graph(path), "QuantizeLinear")


def test_all_layers_kept_is_the_float_tflite_but_for_the_pixels(small):
    layers = [name for name in nodes_of_layers(small.onnx) if name != "logits"]
    content = int8_from_tflite(small.tflite, ranges_of(small, kind="tflite"), keep_float=layers)
    path = small.folder / "nothing_quantized.tflite"
    path.write_bytes(content)
    graph = read_graph(content)
    made = [graph.tensor(one.outputs[0]).type for one in graph.operators]
    assert made.count(TensorType.INT8) <= 1
    np.testing.assert_allclose(
        answers(path, small.calibration), answers(small.tflite, small.calibration), atol=1e-6
    )
