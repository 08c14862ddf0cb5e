"""Bias correction in an ONNX graph; see ``bias_correction``."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from allnet_edge.convert.bias_correction import Axis, rounding_error, shift_of
from allnet_edge.convert.onnx_cleanup import shapes
from allnet_edge.convert.onnx_wiring import Wiring, attribute_int, attribute_ints, channel_axis
from allnet_edge.convert.ranges import ChannelMeans
from allnet_edge.errors import ConversionError


def correct_biases(
    graph: onnx.GraphProto, wiring: Wiring, kernels: Iterable[int], means: ChannelMeans
) -> None:
    """Take the mean effect of rounded weights off the biases, in place.

    A layer without a bias gets one. ``wiring`` is not true any more afterwards.

    Args:
        kernels: Places of the nodes whose weights are going to be int8.

    Raises:
        ConversionError: A layer's input was not observed.
    """
    known = shapes(graph)
    for at in kernels:
        node, weight = wiring.nodes[at], wiring.weight_of(at)
        if weight is None:
            continue
        if node.input[0] not in means:
            raise ConversionError(
                f"there are no channel means of '{node.input[0]}', which {node.name} reads",
                fix="observe this very graph, or build with bias_correction = false",
            )
        kernel = numpy_helper.to_array(weight)
        shift = _shift(node, kernel, means[node.input[0]], known)
        bias = wiring.constants.get(node.input[2]) if len(node.input) > 2 else None
        before = 0.0 if bias is None else numpy_helper.to_array(bias)
        _set_bias(graph, node, (before - shift).astype(np.float32))


def _shift(
    node: onnx.NodeProto,
    kernel: npt.NDArray[np.float32],
    means: npt.NDArray[np.float64],
    known: dict[str, tuple[int, ...]],
) -> npt.NDArray[np.float64]:
    axis = channel_axis(node)
    error = rounding_error(kernel, axis)
    if node.op_type != "Conv":
        return shift_of((error.T if axis == 1 else error)[:, :, None, None], means)
    inside = _inside(node, kernel.shape, known)
    return shift_of(error, means, groups=attribute_int(node, "group", 1), inside=inside)


def _inside(
    node: onnx.NodeProto, kernel: tuple[int, ...], known: dict[str, tuple[int, ...]]
) -> npt.NDArray[np.float64] | None:
    """For each tap the share of positions inside the map; None where shapes are not known."""
    source, made = known.get(node.input[0]), known.get(node.output[0])
    if source is None or made is None:
        return None
    strides = attribute_ints(node, "strides", (1, 1))
    dilations = attribute_ints(node, "dilations", (1, 1))
    pads = attribute_ints(node, "pads", (0, 0, 0, 0))
    rows, columns = (
        Axis(source[2 + n], kernel[2 + n], strides[n], dilations[n], pads[n], made[2 + n]).inside()
        for n in (0, 1)
    )
    return np.outer(rows, columns)


def _set_bias(graph: onnx.GraphProto, node: onnx.NodeProto, bias: npt.NDArray[np.float32]) -> None:
    tensor = numpy_helper.from_array(bias, f"{node.output[0]}/corrected_bias")
    graph.initializer.append(tensor)
    if node.op_type == "MatMul":
        node.op_type = "Gemm"  # of two matrices they are the same, and this one has a bias
    node.input[:] = [*node.input[:2], tensor.name]
