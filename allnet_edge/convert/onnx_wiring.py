"""Who makes and who reads each value of an ONNX graph, and which of its nodes hold weights."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TypeAlias

import onnx

WEIGHTED = ("Conv", "MatMul", "Gemm")
Edge: TypeAlias = tuple[int, int]
"""A node by its place in the graph, and which of its inputs."""


class Wiring:
    """A view of a graph that stays true as long as the graph is not changed.

    Attributes:
        nodes: In the order of the graph, which is topological.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: Sequence[onnx.NodeProto] = list(graph.node)
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self._makers: dict[str, int] = {}
        self._users: defaultdict[str, list[Edge]] = defaultdict(list)
        for at, node in enumerate(self.nodes):
            self._makers.update(dict.fromkeys(node.output, at))
            for position, value in enumerate(node.input):
                self._users[value].append((at, position))

    def maker(self, value: str) -> onnx.NodeProto | None:
        """The node that writes it; None for an input of the graph or a constant."""
        at = self._makers.get(value)
        return None if at is None else self.nodes[at]

    def users(self, value: str) -> Sequence[Edge]:
        """Every place that reads it, in order."""
        return self._users.get(value, [])

    def used_once(self, value: str) -> bool:
        """Whether one node alone reads it, and nobody outside."""
        return len(self.users(value)) == 1 and value not in self.outputs

    def data_inputs(self, at: int) -> list[Edge]:
        """The inputs of a node that depend on the pixels."""
        named = enumerate(self.nodes[at].input)
        return [(at, n) for n, value in named if value and value not in self.constants]

    def weight_of(self, at: int) -> onnx.TensorProto | None:
        """The constant kernel of a Conv, MatMul or Gemm."""
        node = self.nodes[at]
        if node.op_type not in WEIGHTED or len(node.input) < 2:
            return None
        return self.constants.get(node.input[1])

    @cached_property
    def weighted(self) -> tuple[int, ...]:
        """Every Conv, MatMul and Gemm, in order."""
        return tuple(at for at, node in enumerate(self.nodes) if node.op_type in WEIGHTED)

    @cached_property
    def tail(self) -> frozenset[int]:
        """The last of them, the head of the network, and all nodes that read what it makes."""
        return self.following(self.weighted[-1:])

    def depth(self, value: str) -> int:
        """Most Conv, MatMul and Gemm nodes on any way from the pixels to a value."""
        at = self._makers.get(value)
        return 0 if at is None else self._depths[at]

    @cached_property
    def _depths(self) -> list[int]:
        found: list[int] = []
        for at, node in enumerate(self.nodes):
            before = [found[self._makers[v]] for v in node.input if v in self._makers]
            found.append(max(before, default=0) + (at in self.weighted))
        return found

    def following(self, starts: Iterable[int]) -> frozenset[int]:
        """These nodes and all that depend on them."""
        found = set(starts)
        for at, node in enumerate(self.nodes):
            if any(self._makers.get(value) in found for value in node.input):
                found.add(at)
        return frozenset(found)


def attribute_ints(node: onnx.NodeProto, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
    """A list of integers among a node's attributes."""
    return next((tuple(one.ints) for one in node.attribute if one.name == name), tuple(default))


def attribute_int(node: onnx.NodeProto, name: str, default: int) -> int:
    """An integer among a node's attributes."""
    return next((int(one.i) for one in node.attribute if one.name == name), default)


def channel_axis(node: onnx.NodeProto) -> int:
    """The axis of the output channels in the weights of a Conv, MatMul or Gemm."""
    if node.op_type == "Conv":
        return 0
    return 0 if node.op_type == "Gemm" and attribute_int(node, "transB", 0) else 1
