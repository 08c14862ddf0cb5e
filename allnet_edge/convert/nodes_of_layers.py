"""Which nodes of a float ONNX graph are the layers of the network that it was made from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

_WEIGHTED = ("Conv", "MatMul", "Gemm")


def nodes_of_layers(float_model: Path) -> Mapping[str, Sequence[str]]:
    """Names of the Conv, MatMul and Gemm nodes of each layer.

    Args:
        float_model: From ``onnx_from_keras``: its nodes are named ``network/layer/Operator``.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for node in onnx.load(float_model).graph.node:
        if node.op_type in _WEIGHTED:
            found[node.name.split("/")[1]].append(node.name)
    return dict(found)
