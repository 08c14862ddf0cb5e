"""What must hold of an ONNX graph that a stage has written, read anew from the file.

A violation is a fault of the conversion, never of the network: the build stops and names the nodes.
"""

from collections.abc import Collection
from pathlib import Path

import onnx

from allnet_edge.convert.qdq_rules import Violation, violations
from allnet_edge.convert.sparsity_2_4 import invalid_blocks
from allnet_edge.errors import ConversionError
from allnet_edge.spec.recipe import PruneSpec

_GLUE = frozenset({"residual", "concat", "pool", "shared-scale"})
_SHOWN = 3


def require_qdq_rules(path: Path, *, keep_float: Collection[str] | None = None) -> str:
    """Check the placement of Q/DQ pairs (`qdq_rules`).

    Args:
        path: A graph in which everything but the head is int8.
        keep_float: Nodes that stay float instead; what joins float values then follows them, so
            that the rules for additions, concatenations and pools say nothing.

    Returns:
        What was found, in a sentence.

    Raises:
        ConversionError: A rule is broken; says where.
    """
    model = onnx.load(path)
    found = [
        one
        for one in violations(model, keep_float=keep_float or ())
        if not (keep_float and one.rule in _GLUE)
    ]
    if found:
        shown = "; ".join(_told(one) for one in found[:_SHOWN])
        raise ConversionError(
            f"{len(found)} violations of the Q/DQ rules, so that TensorRT may refuse the graph: "
            f"{shown}",
            where=path,
            fix="this is a fault of allnet-edge: report it with the network's model.json",
        )
    pairs = sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
    return f"no violation of the Q/DQ rules ({pairs} quantized activations)"


def require_sparsity(path: Path, pruning: PruneSpec) -> str | None:
    """Check that 2:4 zeros have come through (`sparsity_2_4`).

    Returns:
        What was found, in a sentence; None where the recipe asks for no such zeros.

    Raises:
        ConversionError: A block of four has more than two values; says in which layers.
    """
    if not (pruning.kind == "2:4" or (pruning.kind == "channels" and pruning.two_of_four)):
        return None
    shares = invalid_blocks(onnx.load(path))
    broken = {node: share for node, share in shares.items() if share > 0}
    if broken:
        shown = ", ".join(
            f"{node} ({100 * share:.2g} % of its blocks)"
            for node, share in list(broken.items())[:_SHOWN]
        )
        raise ConversionError(
            f"2:4 zeros were lost in {len(broken)} of {len(shares)} layers: {shown}",
            where=path,
            fix="this is a fault of allnet-edge: report it with the network's model.json",
        )
    return f"100 % of the 2:4 blocks of {len(shares)} layers hold two zeros"


def _told(one: Violation) -> str:
    return f"{one.node} {one.what} ({one.rule})"
