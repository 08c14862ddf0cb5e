"""ONNX float32 -> ONNX int8 with explicit Q/DQ, the only form that TensorRT 8.5 to 11 all take.

Symmetric: int8, zero point 0 everywhere, weights per output channel with scale max|w| / 127, biases
float32. Weights keep their float values with a pair of their own, as TensorRT 8 wants it. Where the
pairs stand: ``qdq_placement``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from allnet_edge.convert.bias_correction import LARGEST, weight_scale
from allnet_edge.convert.bias_of_onnx import correct_biases
from allnet_edge.convert.onnx_wiring import Wiring, channel_axis
from allnet_edge.convert.qdq_placement import Placement, place
from allnet_edge.convert.ranges import ChannelMeans, Range
from allnet_edge.errors import ConversionError

_DEAD = 1e-6  # a range below it is no range
_ZERO = "int8/zero"


def qdq_from_onnx(
    float_model: Path,
    target: Path,
    ranges: Mapping[str, Range],
    *,
    keep_float: Iterable[str] = (),
    channel_means: ChannelMeans | None = None,
) -> None:
    """Quantize a graph and write the result; nothing is observed here.

    Args:
        float_model: From ``onnx_from_keras``: batch norms folded.
        ranges: By tensor of that graph, from ``observe_onnx`` and an estimator, or learned. Tensors
            that share a scale get one that covers the ranges of all of them.
        keep_float: Names of nodes to leave in float besides the last Conv, MatMul or Gemm: their
            inputs get no pair.
        channel_means: From the same observation, to correct biases for the rounding of weights;
            None leaves them.

    Raises:
        ConversionError: A tensor has no range, no node has a name of ``keep_float``, or there is
            nothing to quantize.
    """
    model = onnx.load(float_model)
    wiring = Wiring(model.graph)
    placement = place(wiring, keep_float)
    scales = _activation_scales(placement, ranges, float_model)
    if channel_means is not None:
        correct_biases(model.graph, wiring, placement.kernels, channel_means)
        wiring = Wiring(model.graph)  # the places of the nodes are the same
    _insert(model.graph, wiring, placement, scales)
    model.doc_string = ""
    onnx.save(model, target)


def _activation_scales(
    placement: Placement, ranges: Mapping[str, Range], where: Path
) -> dict[str, npt.NDArray[np.float32]]:
    found = {}
    for tensor, group in placement.groups.items():
        known = [ranges[member] for member in group if member in ranges]
        if not known:
            raise ConversionError(
                f"there is no range for '{tensor}'",
                where=where,
                fix="observe this very graph: ranges go by the names of its tensors",
            )
        if not all(one.finite for one in known):
            raise ConversionError(f"the range of '{tensor}' is not finite", where=where)
        # A tensor that was 0 on every image may not be on the next one.
        largest = max(one.magnitude for one in known)
        magnitude = largest if largest >= _DEAD else 1.0
        found[tensor] = np.array(magnitude / LARGEST, np.float32)
    return found


def _insert(
    graph: onnx.GraphProto,
    wiring: Wiring,
    placement: Placement,
    scales: Mapping[str, npt.NDArray[np.float32]],
) -> None:
    """Put the nodes in, each pair right before the first node that reads it."""
    nodes: list[onnx.NodeProto] = []
    added = [numpy_helper.from_array(np.array(0, np.int8), _ZERO)]
    made: dict[str, str] = {}
    for at, node in enumerate(wiring.nodes):
        for edge in wiring.data_inputs(at):
            value = node.input[edge[1]]
            if edge not in placement.edges:
                continue
            if value not in made:
                scale = numpy_helper.from_array(scales[value], f"{value}/scale")
                added.append(scale)
                made[value] = _pair(nodes, value, scale.name, _ZERO)
        if at in placement.kernels:
            _pair_of_kernel(wiring, at, nodes, added, made)
        nodes.append(node)
    for at, position in placement.edges:
        node = wiring.nodes[at]
        node.input[position] = made[node.input[position]]
    for at in placement.kernels:
        node = wiring.nodes[at]
        node.input[1] = made[f"{node.input[1]}/{channel_axis(node)}"]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(added)


def _pair_of_kernel(
    wiring: Wiring,
    at: int,
    nodes: list[onnx.NodeProto],
    added: list[onnx.TensorProto],
    made: dict[str, str],
) -> None:
    node, tensor = wiring.nodes[at], wiring.weight_of(at)
    axis = channel_axis(node)
    key = f"{node.input[1]}/{axis}"
    if tensor is None or key in made:
        return
    scale = weight_scale(numpy_helper.to_array(tensor), axis)
    zero = np.zeros(scale.shape, np.int8)
    added += [
        numpy_helper.from_array(scale, f"{tensor.name}/scale"),
        numpy_helper.from_array(zero, f"{tensor.name}/zero"),
    ]
    made[key] = _pair(nodes, tensor.name, f"{tensor.name}/scale", f"{tensor.name}/zero", axis=axis)


def _pair(nodes: list[onnx.NodeProto], value: str, scale: str, zero: str, **axis: int) -> str:
    """Append a pair; returns the name of what it makes."""
    nodes += [
        helper.make_node(
            "QuantizeLinear", [value, scale, zero], [f"{value}/int8"], f"{value}/quantize", **axis
        ),
        helper.make_node(
            "DequantizeLinear",
            [f"{value}/int8", scale, zero],
            [f"{value}/dequantized"],
            f"{value}/dequantize",
            **axis,
        ),
    ]
    return f"{value}/dequantized"
