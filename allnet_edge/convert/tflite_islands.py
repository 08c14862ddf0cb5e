"""Operators without weights that lie among float layers of a TFLite graph: they stay float too."""

from collections.abc import Collection

from allnet_edge.convert.tflite_graph import Graph


def with_float_neighbours(graph: Graph, kept: Collection[str]) -> frozenset[str]:
    """The scopes that stay float, given those of the layers that were asked for.

    An operator without weights is float where all that read its result are: rounding it would cost
    digits, and int8 would be left right after it anyway.

    Args:
        kept: Scopes of operators that stay float, the last ones of the graph among them.
    """
    found = set(kept)
    float_operators = {id(one) for one in graph.operators if graph.scope(one) in found}
    weighted = {id(one) for one, _ in graph.weighted()}
    readers: dict[int, list[int]] = {}
    for operator in graph.operators:
        for at in operator.inputs:
            readers.setdefault(int(at), []).append(id(operator))
    for operator in reversed(graph.operators):
        read_by = [one for at in operator.outputs for one in readers.get(int(at), [])]
        if id(operator) not in weighted and read_by and float_operators.issuperset(read_by):
            float_operators.add(id(operator))
            found.add(graph.scope(operator))
    return frozenset(found)
