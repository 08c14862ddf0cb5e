"""Whether 2:4 zeros are still there in an ONNX graph, float or Q/DQ.

Sparse tensor cores skip two of every four neighbouring weights along the input channels (Mishra et
al. 2021, arXiv 2104.08378). The zeros have to be in the graph that TensorRT reads: a batch norm
that was folded keeps them, a quantizer with another zero point than 0 would not, and behind a
flattened map the export orders the rows of a dense layer anew.
"""

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from allnet_edge.convert.onnx_wiring import Wiring

_BLOCK = 4
_MOST = 2  # values other than zero in a block

Values = npt.NDArray[np.float64]


def invalid_blocks(model: onnx.ModelProto) -> dict[str, float]:
    """For every node that 2:4 sparsity can speed up, the share of blocks that are not sparse.

    Those are each Conv, MatMul and Gemm with a constant kernel, at least two output channels, and a
    number of input channels (of a group) that four divides.

    Returns:
        Node name -> share in 0..1, 0 where every block of four has two zeros or more; in the order
        of the graph.
    """
    wiring = Wiring(model.graph)
    found = {}
    for at in wiring.weighted:
        node = wiring.nodes[at]
        kernel = _kernel(wiring, node.input[1])
        rows = None if kernel is None else _by_inputs(node, kernel)
        if rows is not None:
            blocks = rows.reshape(-1, _BLOCK)
            found[node.name] = float(((blocks != 0).sum(axis=1) > _MOST).mean())
    return found


def _by_inputs(node: onnx.NodeProto, kernel: Values) -> Values | None:
    """The kernel with its input channels last; None where it cannot be 2:4."""
    if node.op_type == "Conv":
        outputs, rows = kernel.shape[0], np.moveaxis(kernel, 1, -1)
    else:
        turned = any(one.name == "transB" and one.i for one in node.attribute)
        rows = kernel if turned else np.swapaxes(kernel, -1, -2)
        outputs = rows.shape[-2]
    return rows if rows.shape[-1] % _BLOCK == 0 and outputs > 1 else None


def _kernel(wiring: Wiring, value: str) -> Values | None:
    """The constant behind a kernel, as the device computes with it; None where it is none."""
    if value in wiring.constants:
        return np.asarray(numpy_helper.to_array(wiring.constants[value]), np.float64)
    node = wiring.maker(value)
    if node is None or node.op_type not in ("DequantizeLinear", "QuantizeLinear"):
        return None
    inner = _kernel(wiring, node.input[0])
    scale = _along(wiring, node, 1, inner)
    zero = _along(wiring, node, 2, inner)
    if inner is None or scale is None or zero is None:
        return None
    if node.op_type == "DequantizeLinear":
        return (inner - zero) * scale
    # Where a zero point is absent it is a uint8 0.
    constant = wiring.constants.get(node.input[2]) if len(node.input) > 2 else None
    limits = np.iinfo(np.uint8 if constant is None else numpy_helper.to_array(constant).dtype)
    return (np.rint(inner / scale) + zero).clip(limits.min, limits.max)


def _along(
    wiring: Wiring, node: onnx.NodeProto, position: int, kernel: Values | None
) -> Values | None:
    """A scale or zero point, of the kernel or of each channel, shaped to go with the kernel."""
    if len(node.input) <= position:
        return np.zeros((), np.float64)
    constant = wiring.constants.get(node.input[position])
    if constant is None or kernel is None:
        return None
    values = numpy_helper.to_array(constant).astype(np.float64)
    if values.size == 1:
        return np.asarray(values.reshape(()))
    axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
    shape = [1] * kernel.ndim
    shape[axis] = -1
    return np.asarray(values.reshape(shape))
