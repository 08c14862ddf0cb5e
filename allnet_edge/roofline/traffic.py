"""In which arithmetic each kernel computes, and how many bytes it moves."""

from collections.abc import Sequence

from allnet_edge.roofline.graph import Graph
from allnet_edge.roofline.kernels import Arithmetic, Kernel

_WIDTH: dict[Arithmetic, float] = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0}


def set_traffic(graph: Graph, kernels: Sequence[Kernel], precision: Arithmetic) -> None:
    """Fill in each kernel's arithmetic and bytes.

    A graph with Q/DQ says itself what is int8: a product whose data come from DequantizeLinear, and
    a tensor that only QuantizeLinear reads; the rest keeps the graph's own types. A float graph is
    taken as TensorRT takes it with the flag of ``precision``: all of it fp16; or int8 for
    everything but products of two computed matrices and what is no product, sum or pooling.
    """
    if graph.quantized and precision == "int8":
        widths = _widths_of_qdq(graph)
    else:
        widths = _widths_of_flag(graph, kernels, precision)
    for kernel in kernels:
        kernel.arithmetic = _arithmetic(graph, kernel, widths, precision)
        kernel.read_bytes = sum(widths(name) * graph.size(name) for name in kernel.reads)
        name = kernel.writes.split("<-")[-1]  # a copy into a concatenation writes what it reads
        kernel.written_bytes = widths(name) * graph.size(name)
        kernel.weight_bytes = _WIDTH[kernel.arithmetic] * kernel.weight_elements


class _Widths:
    """Bytes an element of each tensor."""

    def __init__(self, graph: Graph, precision: Arithmetic, narrow: set[str]) -> None:
        self._graph, self._float, self._narrow = graph, precision, narrow

    def __call__(self, name: str) -> float:
        if name in self._narrow:
            return 1.0
        own = self._graph.element_bytes[name]
        return min(own, _WIDTH[self._float]) if own >= 2 else own


def _widths_of_flag(graph: Graph, kernels: Sequence[Kernel], precision: Arithmetic) -> _Widths:
    if precision != "int8":
        return _Widths(graph, precision, set())
    float_kinds = {"matmul", "other"}
    wide = {one.writes for one in kernels if one.kind in float_kinds and not one.weight_elements}
    narrow = set(graph.shapes) - wide - set(graph.outputs) - set(graph.inputs)
    return _Widths(graph, "fp16", narrow)


def _widths_of_qdq(graph: Graph) -> _Widths:
    """A tensor that is read as float too is stored as float; its int8 copy is not counted."""
    quantized: set[str] = set()
    read = set(graph.outputs)
    for node in graph.nodes:
        for name in node.inputs:
            (quantized if node.kind == "QuantizeLinear" else read).add(name)
    return _Widths(graph, "fp32", quantized - read - set(graph.inputs))


def _arithmetic(graph: Graph, kernel: Kernel, widths: _Widths, precision: Arithmetic) -> Arithmetic:
    if kernel.product is None:
        return _of_width(widths(kernel.writes.split("<-")[-1]))
    if kernel.from_int8:
        return "int8"
    if precision == "int8" and not graph.quantized:
        return "int8" if kernel.weight_elements else "fp16"
    # A product whose data are whole numbers of one byte (pixels) computes in floating point too.
    return "fp16" if kernel.reads and widths(kernel.reads[0]) == 2.0 else "fp32"


def _of_width(width: float) -> Arithmetic:
    return "int8" if width <= 1.0 else "fp16" if width <= 2.0 else "fp32"
