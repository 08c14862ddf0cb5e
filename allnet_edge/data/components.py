"""Connected components: what belongs together when pairs belong together."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

Node = TypeVar("Node", str, int)


def components(pairs: Iterable[tuple[Node, Node]]) -> list[list[Node]]:
    """Group the nodes that are linked, directly or through others.

    Returns:
        The groups of two and more, each sorted, sorted by their first node.
    """
    parent: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        while (above := parent.setdefault(node, node)) != node:
            parent[node] = parent.setdefault(above, above)
            node = above
        return node

    for one, other in pairs:
        parent[root(one)] = root(other)
    groups: defaultdict[Node, list[Node]] = defaultdict(list)
    for node in parent:
        groups[root(node)].append(node)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)
