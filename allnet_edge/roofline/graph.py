"""An ONNX graph as far as its cost goes: nodes, shapes, element types, and what is constant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import onnx
from onnx import TensorProto, helper, shape_inference

from allnet_edge.errors import ConversionError

_KEPT_BYTES = 4096
"""Larger constants are weights, whose values nothing here depends on; smaller may be shapes."""

Attribute = int | float | str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One operator; an input that is left out has an empty name."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Graph:
    """What a network computes.

    Attributes:
        nodes: In an order in which they can run; those that compute constants are left out.
        shapes: Of every tensor; a batch size that is not fixed is 1.
        element_bytes: Of every tensor, by its own type.
        constants: Tensors that are known before the network runs.
    """

    nodes: tuple[Node, ...]
    shapes: Mapping[str, tuple[int, ...]]
    element_bytes: Mapping[str, float]
    constants: frozenset[str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def size(self, tensor: str) -> int:
        """Elements of a tensor."""
        return prod(self.shapes[tensor])

    @property
    def quantized(self) -> bool:
        """Whether the graph says by QuantizeLinear what is int8."""
        return any(node.kind == "QuantizeLinear" for node in self.nodes)


def read_graph(source: Path | onnx.ModelProto) -> Graph:
    """Read an ONNX graph, with the shapes of all its tensors.

    Args:
        source: A file, or a model, which is left as it is. Weights need no data.

    Raises:
        ConversionError: It cannot be read, has a shape that is not fixed, or has a loop.
    """
    model = _load(source)
    for tensor in model.graph.initializer:
        _forget_data(tensor)
    for value in model.graph.input:
        _fix_batch(value)
    try:
        model = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:
        raise ConversionError(f"the graph's shapes do not work out: {error}") from error
    return _graph(model)


def _load(source: Path | onnx.ModelProto) -> onnx.ModelProto:
    if isinstance(source, Path):
        try:
            return onnx.load(source, load_external_data=False)
        except Exception as error:
            raise ConversionError(f"not an ONNX graph: {error}", where=source) from error
    copy = onnx.ModelProto()
    copy.CopyFrom(source)
    return copy


def _forget_data(tensor: onnx.TensorProto) -> None:
    """Weights of hundreds of megabytes would be copied by each inference of shapes."""
    if len(tensor.raw_data) > _KEPT_BYTES or len(tensor.float_data) * 4 > _KEPT_BYTES:
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="absent")


def _fix_batch(value: onnx.ValueInfoProto) -> None:
    dims = value.type.tensor_type.shape.dim
    if dims and not dims[0].dim_value:
        dims[0].dim_value = 1


def _graph(model: onnx.ModelProto) -> Graph:
    graph = model.graph
    constants = {one.name for one in graph.initializer} | {""}
    shapes = {one.name: tuple(one.dims) for one in graph.initializer}
    bits = {one.name: _bytes(one.data_type) for one in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        shapes[value.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
        bits[value.name] = _bytes(tensor.elem_type)
    nodes = []
    for node in graph.node:
        if node.op_type in {"Loop", "If", "Scan"}:
            raise ConversionError(f"the graph has a {node.op_type}, whose time cannot be estimated")
        if node.op_type == "Shape" or constants.issuperset(node.input):
            constants.update(node.output)
            continue
        nodes.append(_node(node))
    _all_known(nodes, shapes)
    return Graph(
        nodes=tuple(nodes),
        shapes=shapes,
        element_bytes=bits,
        constants=frozenset(constants),
        inputs=tuple(one.name for one in graph.input if one.name not in constants),
        outputs=tuple(one.name for one in graph.output),
    )


def _all_known(nodes: Iterable[Node], shapes: Mapping[str, tuple[int, ...]]) -> None:
    for node in nodes:
        for name in node.outputs:
            if name and (name not in shapes or 0 in shapes[name]):
                raise ConversionError(
                    f"the shape of '{name}' ({node.kind} {node.name}) is not fixed",
                    fix="export the graph with a fixed input size",
                )


def _node(node: onnx.NodeProto) -> Node:
    read = {one.name: _value(helper.get_attribute_value(one)) for one in node.attribute}
    return Node(
        name=node.name or node.output[0],
        kind=node.op_type,
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes={name: value for name, value in read.items() if value is not None},
    )


def _value(value: object) -> Attribute | None:
    """Numbers and lists of whole numbers; nothing else changes the cost."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, int | float):
        return value
    if isinstance(value, list) and all(isinstance(one, int) for one in value):
        return tuple(value)
    return None


def _bytes(kind: int) -> float:
    if kind in {TensorProto.INT4, TensorProto.UINT4}:
        return 0.5
    return float(helper.tensor_dtype_to_np_dtype(kind).itemsize) if kind else 0.0
