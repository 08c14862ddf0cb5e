"""Which tensors of a float ONNX graph get a Q/DQ pair, and which of them share a scale.

After NVIDIA's toolkit for explicit quantization (github.com/NVIDIA/TensorRT, tools/
tensorflow-quantization) and the chapter "Working with quantized types" of TensorRT's guide:

- before every Conv, MatMul and Gemm, on its data and on its weights, but for the last one: the head
  stays float, since a probability of 256 values is too coarse for a threshold;
- before a residual Add on every input but one: the branch that ends in a convolution which nothing
  else reads is added in that convolution's epilogue. Of two such branches it is the deeper one, so
  that the projection of a ResNet shortcut gets a pair;
- before a Mul of two maps (squeeze and excitation) on both;
- before MaxPool, and on every branch of a Concat; before AveragePool and GlobalAveragePool where
  what they make is read as int8;
- never between a convolution and the batch norm, ReLU or Clip that it is fused with.

MaxPool, Concat and a Pad with zeros do not compute with values: what goes in and what comes out
shares one scale, so that they run on int8 and the second pair changes nothing. The same holds for
what only reorders values.

What computes for layers alone that were asked to stay float stays float with them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import onnx

from allnet_edge.convert.onnx_wiring import Edge, Wiring
from allnet_edge.errors import ConversionError

COMMUTING = ("MaxPool", "Concat", "Pad")
RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
POOLED = ("AveragePool", "GlobalAveragePool")
_SUMS = ("Add", "Mul")


@dataclass(frozen=True, slots=True)
class Placement:
    """What is to be done to a graph.

    Attributes:
        edges: Inputs that read a pair instead of the float value.
        groups: For every tensor with a pair the tensors that its scale must cover: itself, and
            those that share it, in the order of the graph.
        kernels: Places of the nodes whose weights get a pair.
    """

    edges: frozenset[Edge]
    groups: Mapping[str, tuple[str, ...]]
    kernels: tuple[int, ...]


def place(wiring: Wiring, keep_float: Iterable[str] = ()) -> Placement:
    """Decide for a graph.

    Args:
        wiring: Of a float graph, batch norms folded.
        keep_float: Names of nodes whose inputs get no pair, besides the head.

    Raises:
        ConversionError: No node has that name, or the graph has no Conv, MatMul or Gemm.
    """
    if not wiring.weighted:
        raise ConversionError("the graph has no Conv, MatMul or Gemm to quantize")
    kept = set(keep_float)
    _require_known(kept, wiring)
    integer = _integer_nodes(wiring, {at for at, n in enumerate(wiring.nodes) if n.name in kept})
    edges = frozenset(edge for at in integer for edge in _quantized_inputs(wiring, at))
    kernels = tuple(at for at in sorted(integer) if wiring.weight_of(at) is not None)
    return Placement(edges, _groups(wiring, integer, edges), kernels)


def observable(wiring: Wiring) -> dict[str, bool]:
    """Every tensor that some choice of ``keep_float`` may give a pair.

    Returns:
        For each whether a Conv, MatMul or Gemm reads it, in the order of the graph.
    """
    integer = _integer_nodes(wiring, frozenset())
    found: dict[str, bool] = {}
    for at in sorted(integer):
        for node, position in wiring.data_inputs(at):
            value = wiring.nodes[node].input[position]
            found[value] = found.get(value, False) or wiring.weight_of(at) is not None
    return found


def exempt(wiring: Wiring, at: int) -> Edge | None:
    """The input of a residual Add that needs no pair, if there is one."""
    branches = []
    for edge in wiring.data_inputs(at):
        value = wiring.nodes[at].input[edge[1]]
        maker = wiring.maker(value)
        if maker is not None and maker.op_type == "Conv" and wiring.used_once(value):
            branches.append((wiring.depth(value), edge))
    return max(branches)[1] if branches else None


def is_residual(wiring: Wiring, at: int) -> bool:
    """Whether a node adds two maps; to add a constant is no residual sum."""
    return wiring.nodes[at].op_type == "Add" and len(wiring.data_inputs(at)) > 1


def pads_with_zeros(wiring: Wiring, at: int) -> bool:
    """Whether a Pad writes zeros, which int8 with zero point 0 has."""
    node = wiring.nodes[at]
    if any(one.name == "mode" and one.s != b"constant" for one in node.attribute):
        return False
    if len(node.input) < 3 or not node.input[2]:
        return True
    value = wiring.constants.get(node.input[2])
    return value is not None and not onnx.numpy_helper.to_array(value).any()


def _integer_nodes(wiring: Wiring, kept: Collection[int]) -> set[int]:
    """The nodes that are to compute on int8, found from the end of the graph to its start."""
    found: set[int] = set()
    floating = set(kept)
    for at in range(len(wiring.nodes) - 1, -1, -1):
        if at in kept or at in wiring.tail:
            continue
        if _feeds_only(wiring, at, floating):
            floating.add(at)
        elif _can_be_integer(wiring, at, found):
            found.add(at)
    return found


def _feeds_only(wiring: Wiring, at: int, floating: Collection[int]) -> bool:
    """Whether a node without weights computes for layers alone that were asked to stay float."""
    if at in wiring.weighted:
        return False
    users = [user for value in wiring.nodes[at].output for user, _ in wiring.users(value)]
    return bool(users) and all(user in floating for user in users)


def _can_be_integer(wiring: Wiring, at: int, later: Collection[int]) -> bool:
    node = wiring.nodes[at]
    if at in wiring.weighted or node.op_type in ("MaxPool", "Concat"):
        return True
    if node.op_type in _SUMS:
        return len(wiring.data_inputs(at)) > 1
    if node.op_type in POOLED or (node.op_type == "Pad" and pads_with_zeros(wiring, at)):
        return _feeds(wiring, node.output[0], later)
    return False


def _feeds(wiring: Wiring, value: str, integer: Collection[int]) -> bool:
    """Whether an int8 node reads a value, if need be reshaped."""
    for at, _ in wiring.users(value):
        node = wiring.nodes[at]
        if at in integer:
            return True
        if node.op_type in RESHAPING and _feeds(wiring, node.output[0], integer):
            return True
    return False


def _quantized_inputs(wiring: Wiring, at: int) -> list[Edge]:
    edges = wiring.data_inputs(at)
    if is_residual(wiring, at):
        free = exempt(wiring, at)
        return [edge for edge in edges if edge != free]
    return edges


def _groups(
    wiring: Wiring, integer: Collection[int], edges: Collection[Edge]
) -> dict[str, tuple[str, ...]]:
    paired = list(dict.fromkeys(wiring.nodes[at].input[n] for at, n in sorted(edges)))
    leader: dict[str, str] = {}

    def lead(value: str) -> str:
        while leader.setdefault(value, value) != value:
            value = leader[value]
        return value

    for at, node in enumerate(wiring.nodes):
        if node.op_type in RESHAPING or (at in integer and node.op_type in COMMUTING):
            for _, position in wiring.data_inputs(at):
                leader[lead(node.input[position])] = lead(node.output[0])
    members: dict[str, list[str]] = {}
    for value in paired:
        members.setdefault(lead(value), []).append(value)
    return {value: tuple(members[lead(value)]) for value in paired}


def _require_known(names: Collection[str], wiring: Wiring) -> None:
    known = {node.name for node in wiring.nodes}
    for name in sorted(set(names) - known):
        near = get_close_matches(name, known, n=1)
        raise ConversionError(
            f"keep_float: the graph has no node '{name}'",
            fix=f"did you mean {near[0]}?" if near else "names are those of the float graph",
        )
