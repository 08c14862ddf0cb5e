"""Opset 13 for JetPack 4.6: the same function, and nothing that opset 13 does not have."""

import numpy as np
import onnx
import onnxruntime
import pytest
from convert_support import model_of, ranges_of
from onnx import TensorProto, helper

from allnet_edge.convert.engine_from_onnx import EngineBuilder
from allnet_edge.convert.fp16_from_onnx import fp16_from_onnx
from allnet_edge.convert.opset13_from_onnx import opset13_from_onnx
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.errors import ConversionError

pytestmark = pytest.mark.xdist_group("convert")


@pytest.fixture(scope="module", params=["fp32", "fp16", "int8"])
def graph(request, small):
    path = small.folder / f"lower.{request.param}.onnx"
    if request.param == "fp32":
        return onnx.load(small.onnx)
    if request.param == "fp16":
        fp16_from_onnx(small.onnx, path)
    else:
        qdq_from_onnx(small.onnx, path, ranges_of(small))
    return onnx.load(path)


def run(model: onnx.ModelProto, pixels: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {model.graph.input[0].name: pixels})[0]


def test_it_computes_the_same_of_float_pixels(graph):
    lowered = opset13_from_onnx(graph)
    shape = [side.dim_value for side in graph.graph.input[0].type.tensor_type.shape.dim]
    pixels = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    expected = run(graph, pixels)
    np.testing.assert_allclose(run(lowered, pixels.astype(np.float32)), expected, atol=1e-6)


def test_it_is_opset_13_without_a_trace_of_uint8(graph):
    lowered = opset13_from_onnx(graph)
    assert [(one.domain, one.version) for one in lowered.opset_import] == [("", 13)]
    assert lowered.ir_version <= 7
    assert lowered.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    onnx.checker.check_model(lowered, full_check=True)
    for node in lowered.graph.node:
        known = onnx.defs.get_schema(node.op_type, 13).attributes
        assert {attribute.name for attribute in node.attribute} <= set(known)


def test_tensorrt_parses_and_builds_it(graph, tmp_path):
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed here")
    path = tmp_path / "lowered.onnx"
    onnx.save(opset13_from_onnx(graph), path)
    assert EngineBuilder(trt).build(path, sm=86).engine


def test_the_graph_that_was_given_stays_as_it_was(graph):
    before = graph.SerializeToString()
    opset13_from_onnx(graph)
    assert graph.SerializeToString() == before


class TestRefusals:
    def small_graph(self, node: onnx.NodeProto) -> onnx.ModelProto:
        return model_of([node], {"x": [1, 4]}, {"y": [1, 4]}, {})

    @pytest.mark.parametrize("name", ["HardSwish", "LayerNormalization"])
    def test_an_operator_that_opset_13_does_not_have(self, name):
        with pytest.raises(ConversionError, match=f"the operator {name} is not known"):
            opset13_from_onnx(self.small_graph(helper.make_node(name, ["x"], ["y"])))

    def test_an_attribute_that_says_something_new(self):
        weights = {"shape": np.array([0, 4], np.int64)}
        node = helper.make_node("Reshape", ["x", "shape"], ["y"], allowzero=1)
        with pytest.raises(ConversionError, match="Reshape has allowzero"):
            opset13_from_onnx(model_of([node], {"x": [0, 4]}, {"y": [0, 4]}, weights))

    def test_an_attribute_that_says_nothing_is_dropped(self):
        weights = {"shape": np.array([1, 4], np.int64)}
        node = helper.make_node("Reshape", ["x", "shape"], ["y"], allowzero=0)
        lowered = opset13_from_onnx(model_of([node], {"x": [1, 4]}, {"y": [1, 4]}, weights))
        assert list(lowered.graph.node[0].attribute) == []
