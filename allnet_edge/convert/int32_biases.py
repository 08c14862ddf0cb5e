"""Kernels of a float TFLite graph made large enough for their biases to fit 32 bits.

LiteRT stores a bias as int32 in steps of input scale x weight scale of its channel
(https://ai.google.dev/edge/litert/models/quantization_spec). A channel whose weights are zero or
tiny, as a batch norm with a gamma near 0 leaves it, has steps so small that its bias does not fit:
the quantizer casts it to whatever the processor makes of it, and the channel is lost.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from allnet_edge.convert.bias_correction import LARGEST
from allnet_edge.convert.tflite_graph import Graph, Operator

_STEPS = 2.0**28  # of a bias; an eighth of what fits: scales are unified and biases corrected later


def make_biases_fit(
    graph: Graph, steps_of_inputs: Mapping[str, float], *, keep_float: frozenset[str]
) -> bool:
    """Raise the largest weight of such channels, in place, until the bias is 2^28 steps.

    With N weights in the channel its output changes by 255 (127 + N / 2) / 2^28 of its bias at
    most, 2.3e-3 for 4,608 of them: the raised weight, and the others rounded on the coarser grid.
    That is about half a step of an int8 output that the bias alone fills.

    Args:
        steps_of_inputs: The int8 scale of every activation, by name; more than 0.
        keep_float: Scopes of operators that stay float.

    Returns:
        Whether any weight was changed.
    """
    changed = False
    for operator, kernel in list(graph.weighted()):
        bias = graph.constant(int(operator.inputs[2]) if len(operator.inputs) > 2 else -1)
        if bias is None or graph.scope(operator) in keep_float:
            continue
        step = steps_of_inputs[graph.name(graph.data_of(operator))]
        needed = LARGEST * np.abs(bias.astype(np.float64)) / (step * _STEPS)
        rows = _channels_first(graph, operator, kernel).reshape(len(bias), -1)
        short = np.abs(rows).max(axis=1) < needed
        if short.any():
            _set_kernel(graph, operator, _raised(rows, needed, short), kernel.shape)
            changed = True
    return changed


def _channels_first(
    graph: Graph, operator: Operator, kernel: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    depthwise = graph.kind(operator) == schema.BuiltinOperator.DEPTHWISE_CONV_2D
    ordered: npt.NDArray[np.float32] = np.moveaxis(kernel, -1, 0) if depthwise else kernel
    return ordered


def _raised(
    rows: npt.NDArray[np.float32], needed: npt.NDArray[np.float64], short: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """The rows with the largest weight of each short one at what it needs, its sign kept."""
    made: npt.NDArray[np.float32] = rows.copy()
    numbers = np.flatnonzero(short)
    largest = np.abs(rows[numbers]).argmax(axis=1)
    signs = np.where(rows[numbers, largest] < 0, -1.0, 1.0)
    made[numbers, largest] = signs * needed[numbers]
    return made


def _set_kernel(
    graph: Graph, operator: Operator, rows: npt.NDArray[np.float32], shape: tuple[int, ...]
) -> None:
    """Give the operator a kernel of its own: the converter lets equal ones share a buffer."""
    depthwise = graph.kind(operator) == schema.BuiltinOperator.DEPTHWISE_CONV_2D
    kernel = np.moveaxis(rows.reshape(-1, *shape[:-1]), 0, -1) if depthwise else rows.reshape(shape)
    place = graph.add_constant(kernel, f"{graph.name(int(operator.inputs[1]))}/raised")
    operator.inputs = np.array([operator.inputs[0], place, *operator.inputs[2:]], np.int32)
