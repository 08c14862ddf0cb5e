"""Small ONNX graphs for the tests, with real weights."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: Sequence[str],
    constants: dict[str, np.ndarray],
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def weight(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def conv(x: str, w: str, out: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node("Conv", [x, w], [out], name=out, **attributes)


def node(kind: str, inputs: Sequence[str], out: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), [out], name=out, **attributes)


def quantized(x: str, out: str) -> list[onnx.NodeProto]:
    """Q and DQ of a tensor, with the constants ``scale`` and ``zero``."""
    return [
        node("QuantizeLinear", [x, "scale", "zero"], f"{out}_q"),
        node("DequantizeLinear", [f"{out}_q", "scale", "zero"], out),
    ]


QDQ = {"scale": np.array(0.1, np.float32), "zero": np.array(0, np.int8)}
