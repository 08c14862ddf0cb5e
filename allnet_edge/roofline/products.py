"""Convolutions and matrix products as one form: rows x depth x columns."""

from math import prod

from allnet_edge.roofline.graph import Graph, Node
from allnet_edge.roofline.kernels import Product


def product_of(node: Node, graph: Graph) -> tuple[Product, int]:
    """What a Conv, ConvTranspose, Gemm or MatMul computes, and its number of weights."""
    constant = sum(graph.size(name) for name in node.inputs if name in graph.constants and name)
    if node.kind in {"Conv", "ConvTranspose"}:
        return _convolution(node, graph), constant
    return _matrices(node, graph), constant


def _convolution(node: Node, graph: Graph) -> Product:
    weight, out = graph.shapes[node.inputs[1]], graph.shapes[node.outputs[0]]
    groups = _whole(node, "group", 1)
    strides = node.attributes.get("strides", (1,))
    window = prod(weight[2:])
    if node.kind == "ConvTranspose":
        places, channels = prod(graph.shapes[node.inputs[0]][2:]), weight[0] // groups
        return Product(places, weight[1] * window, channels, groups)
    return Product(
        rows=out[0] * prod(out[2:]),
        columns=weight[0] // groups,
        depth=weight[1] * window,
        groups=groups,
        window=window,
        stride=max(strides) if isinstance(strides, tuple) else 1,
    )


def _matrices(node: Node, graph: Graph) -> Product:
    left, out = graph.shapes[node.inputs[0]], graph.shapes[node.outputs[0]]
    if node.kind == "Gemm":
        depth = left[0] if _whole(node, "transA", 0) else left[-1]
        return Product(out[0], out[1], depth)
    batch = prod(out[:-2])
    if len(graph.shapes[node.inputs[1]]) == 2:  # one matrix for the whole batch
        return Product(batch * out[-2], out[-1], left[-1])
    return Product(out[-2], out[-1], left[-1], batch)


def _whole(node: Node, name: str, otherwise: int) -> int:
    value = node.attributes.get(name, otherwise)
    return value if isinstance(value, int) else otherwise
