"""Operators -> kernels, joined as TensorRT joins them.

What is joined (NVIDIA, TensorRT developer guide, "types of fusions"): a convolution or matrix
product with the scale behind it, one residual sum and one activation; chains of pointwise
operators; reshapes and Q/DQ cost nothing of their own; a tensor is written straight into the first
concatenation that reads it.

OUR READING, where the guide is silent: a tensor in a second concatenation is copied (DenseNet),
and a transposition that moves data is a copy. Layer lists that users of TensorRT have published
show more: a split copies each part ("Split_output_0 copy"), and SiLU is joined to its convolution
("Conv + PWN(PWN(Sigmoid), Mul)") on some machines and not on others; OUR READING: in fp16 and int8,
not in fp32. They also show convolutions of one input joined side by side ("Conv || Conv"), which
is not modelled.
"""

from collections import defaultdict
from collections.abc import Sequence

from allnet_edge.roofline.graph import Graph, Node
from allnet_edge.roofline.kernels import Kernel, Kind
from allnet_edge.roofline.products import product_of

_FREE = {
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Cast", "QuantizeLinear",
    "DequantizeLinear",
}  # fmt: skip
_ACTIVATIONS = {"Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "Elu", "Selu", "HardSigmoid"}
_GATES = {"Sigmoid", "HardSigmoid"}
_POINTWISE = _ACTIVATIONS | {
    "Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sqrt", "Exp", "Log", "Neg", "Abs", "Erf",
    "PRelu", "HardSwish", "Softplus", "Where", "Equal", "Greater", "Less", "Not", "And", "Or",
    "BatchNormalization", "Reciprocal", "Floor", "Ceil", "Round", "Sign", "Gelu", "Mish",
}  # fmt: skip
_PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_POOLS = {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax"}


def fuse(graph: Graph, *, joins_gates: bool) -> list[Kernel]:
    """The kernels of a network, in the order in which they run; their bytes are not set yet.

    Args:
        joins_gates: ``x * sigmoid(x)`` and its like become part of the convolution before them.
    """
    return _Fusion(graph, joins_gates).run()


class _Fusion:
    def __init__(self, graph: Graph, joins_gates: bool) -> None:
        self._graph, self._joins_gates = graph, joins_gates
        self._kernels: list[Kernel] = []
        self._writer: dict[str, int] = {}
        self._placed: set[str] = set()
        self._joined: set[str] = set()
        self._root: dict[str, str] = {}
        self._from_int8: set[str] = set()
        self._readers: dict[str, list[Node]] = defaultdict(list)
        for node in graph.nodes:
            if self._is_free(node):
                for out in node.outputs[:1]:
                    self._root[out] = self.root(node.inputs[0])
                    if node.kind == "DequantizeLinear" or node.inputs[0] in self._from_int8:
                        self._from_int8.add(out)
            else:
                for name in set(self._operands(node)):
                    self._readers[name].append(node)
        for name in graph.outputs:
            # An output is read by somebody: what is in it must be written.
            self._readers[self.root(name)].append(Node("output", "output", (), (), {}))

    def root(self, name: str) -> str:
        """The tensor whose bytes this one shows in another shape."""
        return self._root.get(name, name)

    def run(self) -> list[Kernel]:
        for node in self._graph.nodes:
            if self._is_free(node) or self._is_gate(node):
                continue
            if node.kind in _POINTWISE:
                self._pointwise(node)
            elif node.kind == "Concat":
                self._concat(node)
            elif node.kind == "Split":
                for part in node.outputs:
                    self._new("copy", node, part)
            else:
                self._new(_kind(node), node, node.outputs[0])
        return self._kernels

    def _operands(self, node: Node) -> list[str]:
        return [self.root(one) for one in node.inputs if one not in self._graph.constants]

    def _new(self, kind: Kind, node: Node, out: str) -> None:
        kernel = Kernel(kind, [node.name], list(dict.fromkeys(self._operands(node))), out)
        if node.kind in _PRODUCTS:
            kernel.product, kernel.weight_elements = product_of(node, self._graph)
            kernel.from_int8 = node.inputs[0] in self._from_int8
            if kernel.product.groups > 1 and kernel.product.columns == 1:
                kernel.kind = "depthwise"
        self._writer[out] = len(self._kernels)
        self._kernels.append(kernel)

    def _is_gate(self, node: Node) -> bool:
        """The sigmoid in ``x * sigmoid(x)``: one activation with the product behind it."""
        if node.kind not in _GATES:
            return False
        readers = self._readers[node.outputs[0]]
        return (
            len(readers) == 1
            and readers[0].kind == "Mul"
            and self.root(node.inputs[0]) in self._operands(readers[0])
        )

    def _gated(self, node: Node) -> tuple[list[str], bool]:
        """Operands of a pointwise operator, and whether it is the product of a gate."""
        operands = self._operands(node)
        if node.kind != "Mul" or len(operands) != 2:
            return operands, False
        for gate, value in (operands, operands[::-1]):
            for reader in self._readers[value]:
                if reader.outputs and reader.outputs[0] == gate and self._is_gate(reader):
                    return [value], True
        return operands, False

    def _pointwise(self, node: Node) -> None:
        operands, gated = self._gated(node)
        out = node.outputs[0]
        hosts = [name for name in operands if self._takes(name, node, operands, gated)]
        if not hosts:
            self._new("pointwise", node, out)
            self._kernels[-1].reads = list(dict.fromkeys(operands))
            return
        name = max(hosts, key=lambda one: self._writer[one])
        at = self._writer[name]
        kernel = self._kernels[at]
        kernel.operators.append(node.name)
        others = [one for one in operands if one not in {name, *kernel.reads}]
        kernel.reads += others
        kernel.residual |= len(operands) > 1
        kernel.activated |= gated or node.kind in _ACTIVATIONS
        kernel.writes = out
        self._writer[out] = at
        if any(self._writer.get(one, -1) > at for one in others):
            self._move_last(at)

    def _takes(self, name: str, node: Node, operands: Sequence[str], gated: bool) -> bool:
        """Whether the kernel that writes ``name`` can do this operator as well."""
        at = self._writer.get(name)
        if (
            at is None
            or name in self._joined
            or self._graph.size(name) != self._graph.size(node.outputs[0])
        ):
            return False
        allowed = 2 if gated else 1  # the gate reads it too
        if len(self._readers[name]) != allowed:
            return False
        kernel = self._kernels[at]
        if kernel.kind == "pointwise":
            return True
        if kernel.product is None or kernel.activated or (gated and not self._joins_gates):
            return False
        if len(operands) > 1:
            return node.kind == "Add" and not kernel.residual
        return True

    def _move_last(self, at: int) -> None:
        """A kernel that took up a later tensor runs after that tensor's own kernel."""
        kernel = self._kernels.pop(at)
        self._kernels.append(kernel)
        self._writer = {
            name: (index - 1 if index > at else len(self._kernels) - 1 if index == at else index)
            for name, index in self._writer.items()
        }

    def _concat(self, node: Node) -> None:
        for name in self._operands(node):
            if name in self._placed or name not in self._writer:
                self._new("copy", node, f"{node.outputs[0]}<-{name}")
                self._kernels[-1].reads = [name]
            self._placed.add(name)
        # The whole is there once its parts are; another concatenation may take it up in turn.
        self._writer[node.outputs[0]] = len(self._kernels) - 1
        self._joined.add(node.outputs[0])

    def _is_free(self, node: Node) -> bool:
        """Another shape of the same bytes, or a change of type that the reader does on the way."""
        if node.kind != "Transpose":
            return node.kind in _FREE
        shape = self._graph.shapes[node.inputs[0]]
        order = node.attributes.get("perm")
        if not isinstance(order, tuple):
            order = tuple(reversed(range(len(shape))))
        kept = [axis for axis in order if shape[axis] != 1]
        return kept == sorted(kept)


def _kind(node: Node) -> Kind:
    if node.kind in {"Conv", "ConvTranspose"}:
        return "conv"
    if node.kind in _PRODUCTS:
        return "matmul"
    if node.kind in _POOLS:
        return "pool"
    return "copy" if node.kind in {"Slice", "Transpose", "Pad", "Gather", "Resize"} else "other"
