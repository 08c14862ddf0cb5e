"""What the tests of the conversions share: the files of one network, and how graphs are read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from allnet_edge.convert.estimators import Estimator, estimate_all
from allnet_edge.convert.observe_onnx import observe_onnx
from allnet_edge.convert.observe_tflite import observe_tflite
from allnet_edge.convert.ranges import Observation, Range
from allnet_edge.engines import open_runner
from allnet_edge.models.towers.api import KerasModel

SIZE = 32
Make = Callable[[onnx.GraphProto], object]


@dataclass(frozen=True)
class Converted:
    """One network and what was made of it; ``calibration`` are uint8 [n, side, side, 3]."""

    network: KerasModel
    calibration: np.ndarray
    onnx: Path
    tflite: Path
    folder: Path

    def graph(self, path: Path | None = None) -> onnx.GraphProto:
        return onnx.load(path or self.onnx).graph

    def expected(self, images: np.ndarray) -> np.ndarray:
        return self.network.predict(images.astype(np.float32), verbose=0).ravel()


def answers(path: Path, images: np.ndarray) -> np.ndarray:
    with open_runner(path, threads=1) as runner:
        return runner.infer(images)


def of_type(graph: onnx.GraphProto, *kinds: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if node.op_type in kinds]


def maker(graph: onnx.GraphProto, value: str) -> onnx.NodeProto | None:
    return next((node for node in graph.node if value in node.output), None)


def users(graph: onnx.GraphProto, value: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if value in node.input]


def constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def model_of(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    """A float graph written by hand."""

    def infos(shapes: dict[str, list[int]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]

    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "by hand", infos(inputs), infos(outputs), tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto, **inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


def ranges_of(
    source: Converted,
    images: np.ndarray | None = None,
    *,
    kind: str = "onnx",
    estimator: Estimator = "min-max",
) -> dict[str, Range]:
    """Ranges from ``images``, or from the source's own."""
    seen = observed(source, images, kind=kind)
    return estimate_all(seen, estimator, symmetric=kind == "onnx")


def observed(
    source: Converted, images: np.ndarray | None = None, *, kind: str = "onnx"
) -> Observation:
    observe, file = {
        "onnx": (observe_onnx, source.onnx), "tflite": (observe_tflite, source.tflite)
    }[kind]  # fmt: skip
    return observe(file, source.calibration if images is None else images)
