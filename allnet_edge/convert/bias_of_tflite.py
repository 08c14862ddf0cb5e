"""Bias correction in a float TFLite graph, before it is quantized; see ``bias_correction``."""

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from allnet_edge.convert.bias_correction import Axis, rounding_error, shift_of
from allnet_edge.convert.ranges import ChannelMeans
from allnet_edge.convert.tflite_graph import Graph, Operator
from allnet_edge.errors import ConversionError

_DEPTHWISE = schema.BuiltinOperator.DEPTHWISE_CONV_2D
_DENSE = schema.BuiltinOperator.FULLY_CONNECTED
_SAME = schema.Padding.SAME
_Values = npt.NDArray[np.float64]


def correct_biases(graph: Graph, means: ChannelMeans, *, keep_float: frozenset[str]) -> None:
    """Take the mean effect of rounded weights off the biases, in place.

    A layer without a bias gets one, and each one of its own: the converter lets layers whose biases
    are equal share them.

    Args:
        keep_float: Scopes of operators whose weights stay as they are.

    Raises:
        ConversionError: A layer's input was not observed.
    """
    for operator, kernel in list(graph.weighted()):
        if graph.scope(operator) in keep_float:
            continue
        name = graph.name(graph.data_of(operator))
        if name not in means:
            raise ConversionError(
                f"there are no channel means of '{name}'",
                fix="observe this very graph, or build with bias_correction = false",
            )
        shift = _shift(graph, operator, kernel, means[name])
        place = int(operator.inputs[2]) if len(operator.inputs) > 2 else -1
        before = graph.constant(place)
        bias = (0.0 if before is None else before) - shift
        _set_bias(graph, operator, bias.astype(np.float32))


def _shift(
    graph: Graph, operator: Operator, kernel: npt.NDArray[np.float32], means: _Values
) -> _Values:
    kind = graph.kind(operator)
    axis = kernel.ndim - 1 if kind == _DEPTHWISE else 0
    error = rounding_error(kernel, axis)
    if kind == _DENSE:
        return shift_of(error[:, :, None, None], means)
    inside = _inside(graph, operator, kernel.shape[1:3])
    if kind == _DEPTHWISE:  # [1, h, w, out], and each output sees one input
        groups = len(means)
        return shift_of(error.transpose(3, 0, 1, 2), means, groups=groups, inside=inside)
    ordered = error.transpose(0, 3, 1, 2)
    return shift_of(ordered, means, groups=len(means) // ordered.shape[1], inside=inside)


def _inside(graph: Graph, operator: Operator, kernel: tuple[int, ...]) -> _Values:
    options = operator.builtinOptions
    strides = (getattr(options, "strideH", 1), getattr(options, "strideW", 1))
    dilations = (
        getattr(options, "dilationHFactor", 1),
        getattr(options, "dilationWFactor", 1),
    )
    source = graph.tensor(graph.data_of(operator)).shape
    made = graph.tensor(int(operator.outputs[0])).shape
    axes = []
    for n in (0, 1):
        reach = (kernel[n] - 1) * dilations[n] + 1
        missing = max(0, (int(made[1 + n]) - 1) * strides[n] + reach - int(source[1 + n]))
        before = missing // 2 if getattr(options, "padding", None) == _SAME else 0
        axes.append(
            Axis(
                int(source[1 + n]), kernel[n], strides[n], dilations[n], before, int(made[1 + n])
            ).inside()
        )
    return np.outer(*axes)


def _set_bias(graph: Graph, operator: Operator, bias: npt.NDArray[np.float32]) -> None:
    name = f"{graph.name(int(operator.outputs[0]))}/corrected_bias"
    place = graph.add_constant(bias, name)
    operator.inputs = np.array([*operator.inputs[:2], place], np.int32)
