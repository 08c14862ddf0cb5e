"""ONNX int8 with explicit Q/DQ -> the same with its unquantized layers as islands of float16.

For TensorRT's strongly typed networks (10 and later): a layer behind a DequantizeLinear runs in
int8, one between two Casts in half precision. A node without weights is half where all that it
reads is, so that an island has one Cast at each of its borders and none inside.
"""

from collections.abc import Collection
from pathlib import Path

import onnx

from allnet_edge.convert.fp16_from_onnx import in_half

_NEVER_UNASKED = ("Cast", "QuantizeLinear", "DequantizeLinear", "Conv", "MatMul", "Gemm")


def mixed_from_qdq(quantized: Path, target: Path, layers: Collection[str]) -> None:
    """Convert a graph and write the result; inputs and outputs keep their types.

    Args:
        quantized: From ``qdq_from_onnx``, with ``layers`` among its ``keep_float``.
        layers: Names of Conv, MatMul and Gemm nodes to run in half precision.

    Raises:
        ConversionError: A weight is beyond the range of half precision, or the graph does not
            check.
    """
    model = onnx.load(quantized)
    islands = _islands(model.graph, frozenset(layers))
    kept = [node.name for node in model.graph.node if node.name not in islands]
    onnx.save(in_half(model, kept, quantized), target)


def _islands(graph: onnx.GraphProto, layers: Collection[str]) -> set[str]:
    constants = {tensor.name for tensor in graph.initializer}
    half: set[str] = set()  # values
    found: set[str] = set()
    last = graph.output[0].name
    for node in graph.node:
        read = [value for value in node.input if value and value not in constants]
        follows = (
            bool(read) and node.op_type not in _NEVER_UNASKED and all(one in half for one in read)
        )
        if last in node.output or not (node.name in layers or follows):
            continue
        found.add(node.name)
        half.update(node.output)
    return found
