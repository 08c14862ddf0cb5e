"""ONNX float32 -> ONNX float16, precision in the graph as strongly typed TensorRT wants it.

Standardisation and the last layer with its sigmoid or softmax stay float32: pixels of 0..255 and
the logits are where half precision could show. One Cast stands at each border, and none between
two layers of the same precision: a value that went through half once has lost its digits.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from allnet_edge.errors import ConversionError, first_line

_FLOAT, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16
_LARGEST = float(np.finfo(np.float16).max)


def fp16_from_onnx(float_model: Path, target: Path) -> None:
    """Convert a graph and write the result; inputs and outputs keep their types.

    Args:
        float_model: From ``onnx_from_keras``.

    Raises:
        ConversionError: A weight is beyond the range of half precision, or the graph does not
            check.
    """
    model = onnx.load(float_model)
    onnx.save(in_half(model, _float_nodes(model.graph), float_model), target)


def in_half(model: onnx.ModelProto, kept: Collection[str], where: Path) -> onnx.ModelProto:
    """Make every node half precision but the ``kept`` ones, and check the graph.

    Args:
        model: Changed in place.
        kept: Names of nodes that stay as they are.
        where: For messages.

    Raises:
        ConversionError: A weight is beyond the range of half precision, or the graph does not
            check.
    """
    _halve(model.graph, kept)
    del model.graph.value_info[:]
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise ConversionError(
            f"the ONNX graph cannot be made float16: {first_line(error)}", where=where
        ) from error
    return model


def _float_nodes(graph: onnx.GraphProto) -> set[str]:
    """The nodes that standardise, and those from the last dense layer on."""
    names = [node.name for node in graph.node]
    last = [at for at, node in enumerate(graph.node) if node.op_type in ("MatMul", "Gemm", "Conv")]
    first = {n.name for n in graph.node if n.op_type == "Cast" or "/standardise/" in n.name}
    return first | set(names[last[-1] :])


def _halve(graph: onnx.GraphProto, kept: Collection[str]) -> None:
    """Make every node half but the ``kept`` ones, with a Cast behind what crosses the border."""
    weights = {t.name: t for t in graph.initializer if t.data_type == _FLOAT}
    halves: dict[str, TensorProto] = {}
    kinds: dict[str, int] = {}
    casts: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        kind = _FLOAT if node.name in kept else _HALF
        for position, value in enumerate(node.input):
            other = f"{value}/{'float' if kind == _FLOAT else 'half'}"
            if kind == _HALF and value in weights:
                halves.setdefault(value, _half(weights[value], other))
                node.input[position] = other
            elif kinds.get(value, kind) != kind:
                if other not in casts:
                    nodes.append(helper.make_node("Cast", [value], [other], name=other, to=kind))
                    casts.add(other)
                node.input[position] = other
        kinds.update(dict.fromkeys(node.output, kind))
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {value for node in nodes for value in node.input}
    kept_weights = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend([*kept_weights, *halves.values()])


def _half(tensor: TensorProto, name: str) -> TensorProto:
    values = numpy_helper.to_array(tensor)
    if np.abs(values).max(initial=0) > _LARGEST:
        raise ConversionError(
            f"'{tensor.name}' has a weight of {np.abs(values).max():.3g}, beyond float16",
            fix="build without fp16: --precision int8 or fp32",
        )
    return numpy_helper.from_array(values.astype(np.float16), name)
