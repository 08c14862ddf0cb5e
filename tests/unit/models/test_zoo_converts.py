"""Every network of the zoo reaches every form that a device runs."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import tf_keras
from train_once import SMALLEST

from allnet_edge import models
from allnet_edge.convert.estimators import estimate_all
from allnet_edge.convert.int8_from_tflite import int8_from_tflite
from allnet_edge.convert.nodes_of_layers import nodes_of_layers
from allnet_edge.convert.observe_onnx import observe_onnx
from allnet_edge.convert.observe_tflite import observe_tflite
from allnet_edge.convert.onnx_cleanup import count_transposes
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.opset13_from_onnx import opset13_from_onnx
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.convert.tflite_graph import read_graph
from allnet_edge.engines import open_runner
from allnet_edge.search.groups import layers_of

CASES = [*(f"{network}:2" for network in models.network_names()), "mobilenetv2:4"]


@dataclass(frozen=True)
class Files:
    network: str
    classes: int
    folder: Path
    images: np.ndarray
    expected: np.ndarray
    layers: tuple[str, ...]

    def graph(self) -> onnx.ModelProto:
        return onnx.load(self.folder / "float.onnx")

    def answers(self, file: str) -> np.ndarray:
        with open_runner(self.folder / file, threads=1) as runner:
            return np.asarray(runner.infer(self.images)).reshape(self.expected.shape)


@pytest.fixture(scope="module", params=CASES)
def files(request, tmp_path_factory, make_spec, build_trained, pixels) -> Files:
    network, classes = request.param.split(":")
    names = tuple(f"class {number}" for number in range(int(classes)))
    size = SMALLEST.get(network, 64)
    model = build_trained(tf_keras, make_spec(network, size=size, classes=names))
    images = pixels(4, size).astype(np.uint8)
    folder = tmp_path_factory.mktemp(network)
    onnx.save(onnx_from_keras(model, size), folder / "float.onnx")
    (folder / "float.tflite").write_bytes(tflite_from_keras(model, size))
    seen = observe_onnx(folder / "float.onnx", images)
    symmetric = estimate_all(seen, "min-max", symmetric=True)
    qdq_from_onnx(folder / "float.onnx", folder / "int8.onnx", symmetric)
    seen = observe_tflite(folder / "float.tflite", images)
    ranges = estimate_all(seen, "min-max", symmetric=False)
    (folder / "int8.tflite").write_bytes(int8_from_tflite(folder / "float.tflite", ranges))
    expected = model.predict(images.astype(np.float32), verbose=0)
    layers = tuple(layer.name for layer in layers_of(model))
    return Files(network, int(classes), folder, images, expected, layers)


class TestConversion:
    @pytest.mark.parametrize("file", ["float.onnx", "float.tflite"])
    def test_float_answers_as_keras_does(self, files, file):
        spread = files.expected.std(axis=0).min()
        assert spread > 3e-4, "a constant would prove nothing"
        np.testing.assert_allclose(
            files.answers(file), files.expected, atol=min(1e-4, spread / 20), rtol=0
        )

    @pytest.mark.parametrize("file", ["int8.onnx", "int8.tflite"])
    def test_int8_answers_with_probabilities(self, files, file):
        found = files.answers(file)
        assert np.isfinite(found).all()
        assert 0 <= found.min() <= found.max() <= 1
        if files.classes > 2:
            np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)

    def test_every_layer_is_found_by_its_name_in_both_formats(self, files):
        nodes = nodes_of_layers(files.folder / "float.onnx")
        graph = read_graph(files.folder / "float.tflite")
        assert {layer for layer in files.layers if len(nodes.get(layer, ())) != 1} == set()
        assert all(graph.scopes_named(layer) for layer in files.layers)

    def test_onnx_has_no_transpose_but_that_of_the_input(self, files):
        assert count_transposes(files.graph()) == 1

    def test_onnx_has_operators_that_every_tensorrt_knows(self, files):
        kinds = Counter(node.op_type for node in files.graph().graph.node)
        assert set(kinds) <= {
            "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Conv", "Gemm",
            "GlobalAveragePool", "MatMul", "MaxPool", "Mul", "Pad", "Relu", "Reshape", "Sigmoid",
            "Softmax", "Squeeze", "Transpose",
        }  # fmt: skip

    def test_grouped_and_dilated_convolutions_are_one_operator_each(self, files):
        found = Counter()
        for node in files.graph().graph.node:
            if node.op_type == "Conv":
                told = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
                found[told["group"] > 1, tuple(told.get("dilations", (1, 1)))] += 1
        wanted = {
            "alnett": {(True, (d, d)): 4 for d in (1, 2, 3)},
            "mobilenetv2": {(True, (1, 1)): 17},
            "se_resnext50": {(True, (1, 1)): 16},
        }
        grouped = {kind: count for kind, count in found.items() if kind != (False, (1, 1))}
        assert grouped == wanted.get(files.network, {})


@pytest.mark.parametrize("file", ["float.onnx", "int8.onnx"])
def test_opset_13_for_jetpack_4_6_computes_the_same(files, file):
    lowered = f"opset13.{file}"
    onnx.save(opset13_from_onnx(onnx.load(files.folder / file)), files.folder / lowered)
    np.testing.assert_allclose(files.answers(lowered), files.answers(file), atol=1e-6)
