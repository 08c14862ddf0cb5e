"""ONNX float32 -> ONNX float16, precision in the graph as strongly typed TensorRT wants it.

Standardisation and the last layer with its sigmoid or softmax stay float32: pixels of 0..255 and
the logits are where half precision could show.
"""

from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from allnet_edge.errors import ConversionError, first_line


def fp16_from_onnx(float_model: Path, target: Path) -> None:
    """Convert a graph and write the result; inputs and outputs keep their types.

    Raises:
        ConversionError: The converter refuses the graph.
    """
    model = onnx.load(float_model)
    try:
        half = convert_float_to_float16(
            model, keep_io_types=True, node_block_list=_float_nodes(model.graph)
        )
        half.doc_string = ""
        onnx.save(half, target)
    except (ValueError, RuntimeError) as error:
        raise ConversionError(
            f"the ONNX graph cannot be made float16: {first_line(error)}",
            where=float_model,
        ) from error


def _float_nodes(graph: onnx.GraphProto) -> list[str]:
    """The nodes before the first convolution and from the last dense layer on."""
    kinds = [node.op_type for node in graph.node]
    dense = [at for at, kind in enumerate(kinds) if kind in ("MatMul", "Gemm", "Conv")]
    names = [node.name for node in graph.node]
    before = [n for n, k in zip(names, kinds, strict=True) if k == "Cast" or "standardise" in n]
    return [*before, *names[dense[-1] :]]
