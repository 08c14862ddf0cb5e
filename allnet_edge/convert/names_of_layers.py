"""Ranges of a network's layers, by the names of the tensors that its exported graphs hold.

Who trains with fake quantization knows ranges by layer; ``qdq_from_onnx`` and ``int8_from_tflite``
ask for them by tensor. Exporters name a tensor after the layers that it came from,
``network/layer/Operator``; where several were fused into one operator, it holds what the last of
them makes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import onnx
from ai_edge_litert import schema_py_generated as schema

from allnet_edge.convert.onnx_wiring import Wiring
from allnet_edge.convert.qdq_placement import observable
from allnet_edge.convert.ranges import Range
from allnet_edge.convert.tflite_graph import Graph, Operator, read_graph
from allnet_edge.errors import ConversionError

ByLayer: TypeAlias = Mapping[str, tuple[float, float]]
"""Low and high end of each layer's output, symmetric around 0, in the order of the network. A
convolution that a batch norm is folded into stands for what the norm makes."""

_LAYOUT = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity")
_LARGEST, _LOWEST = 127, -128
_WHITE = 255.0
_FLOAT = frozenset({schema.BuiltinOperator.LOGISTIC, schema.BuiltinOperator.SOFTMAX})


def onnx_ranges(float_model: Path, by_layer: ByLayer) -> dict[str, Range]:
    """For the tensors of a float ONNX graph that may get a Q/DQ pair.

    The exporter loses the names of dilated convolutions. They are left out: what they make is
    concatenated, and shares the range of the concatenation.

    Args:
        float_model: From ``onnx_from_keras``.
    """
    wiring = Wiring(onnx.load(float_model).graph)
    layers = {tensor: _onnx_layer(wiring, tensor) for tensor in observable(wiring)}
    return {
        tensor: Range(*by_layer[layer]) for tensor, layer in layers.items() if layer in by_layer
    }


def tflite_ranges(
    float_model: Path, by_layer: ByLayer, observed: Mapping[str, Range] | None = None
) -> dict[str, Range]:
    """For every activation of a float TFLite graph but the pixels.

    The ends are those of a grid with zero point 0 and a step of high / 127: TFLite covers -128 to
    127 steps.

    Args:
        float_model: From ``tflite_from_keras``.
        observed: Ranges of tensors that no layer's output is, by their names: what a layer of
            several operators makes on its way, and what stays float.

    Raises:
        ConversionError: A tensor comes from no layer of ``by_layer`` and was not observed.
    """
    graph = read_graph(float_model)
    order = {layer: number for number, layer in enumerate(by_layer)}
    found: dict[str, Range] = {}
    taken: set[str] = set()
    # From the end: of the operators of one layer the last one makes its output.
    for operator in reversed(graph.operators):
        name = graph.name(int(operator.outputs[0]))
        layers = [layer for layer in _tflite_layers(name) if layer in order]
        layer = max(layers, key=order.__getitem__, default=None)
        if layer is not None and layer not in taken:
            taken.add(layer)
            step = by_layer[layer][1] / _LARGEST
            found[name] = Range(_LOWEST * step, _LARGEST * step)
        else:
            found[name] = _inner(graph, operator, name, observed or {}, float_model)
    return found


def _onnx_layer(wiring: Wiring, tensor: str) -> str:
    maker = wiring.maker(tensor)
    while maker is not None and maker.op_type in _LAYOUT:
        tensor = maker.input[0]
        maker = wiring.maker(tensor)
    parts = (maker.name if maker is not None else tensor).split("/")
    return parts[1] if len(parts) > 1 else parts[0]


def _tflite_layers(name: str) -> list[str]:
    """Layers that a tensor's name tells of; where their weights lie says nothing."""
    paths = [part.split("/") for part in name.split(";") if not part.endswith("ReadVariableOp")]
    return [path[1] for path in paths if len(path) > 1]


def _inner(
    graph: Graph, operator: Operator, name: str, observed: Mapping[str, Range], where: Path
) -> Range:
    if name in observed:
        return observed[name]
    factor = graph.constant(int(operator.inputs[1])) if len(operator.inputs) > 1 else None
    scales_pixels = graph.kind(operator) == schema.BuiltinOperator.MUL and int(
        operator.inputs[0]
    ) == int(graph.model.subgraphs[0].inputs[0])
    if scales_pixels and factor is not None:  # the first half of the standardisation
        return Range(0.0, _WHITE * float(factor.max()))
    if graph.kind(operator) in _FLOAT or "/logits/" in name:
        return Range(0.0, 1.0)  # stays float: the range is asked for and not used
    raise ConversionError(
        f"there is no learned range for '{name}'",
        where=where,
        fix="export the very network that was trained, or give what was observed",
    )
