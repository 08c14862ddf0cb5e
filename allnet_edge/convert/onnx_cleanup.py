"""What tf2onnx leaves behind, removed by passes that do not change a result.

Each pass works on a graph with static shapes, in place; what it does not recognise it leaves alone.
"""

import itertools
import re
from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

_NHWC = [0, 2, 3, 1]
_COUNTER = re.compile(r"__\d+")


def clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy without no-op reshapes, leftover transposes and unfolded batch norms.

    Names and texts that depend on the exporting process go too, so that the same network gives the
    same bytes.
    """
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    graph = model.graph
    _drop_identity_reshapes(graph)
    _drop_flatten_transposes(graph)
    _fold_batch_norms(graph)
    _drop_unused_initializers(graph)
    _name_by_place(graph)
    domains = {node.domain for node in graph.node}
    for unused in [one for one in model.opset_import if one.domain not in domains]:
        model.opset_import.remove(unused)
    model.doc_string = ""
    graph.doc_string = ""
    graph.name = "allnet-edge"
    for node in graph.node:
        node.doc_string = ""
    return model


def count_transposes(model: onnx.ModelProto) -> int:
    """How many Transpose nodes a graph has; one, at the input, is the layout change."""
    return sum(node.op_type == "Transpose" for node in model.graph.node)


def shapes(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """The shape of every value whose shape is known and static."""
    found = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(side.HasField("dim_value") for side in kind.shape.dim):
            found[value.name] = tuple(side.dim_value for side in kind.shape.dim)
    return found


def _drop_identity_reshapes(graph: onnx.GraphProto) -> None:
    """On 1x1 maps a transpose is written as a Reshape that changes nothing: it hides fusions."""
    known = shapes(graph)
    outputs = {value.name for value in graph.output}
    for node in list(graph.node):
        if node.op_type != "Reshape" or node.output[0] in outputs:
            continue
        before, after = known.get(node.input[0]), known.get(node.output[0])
        if before is not None and before == after:
            _replace_uses(graph, node.output[0], node.input[0])
            graph.node.remove(node)


def _drop_flatten_transposes(graph: onnx.GraphProto) -> None:
    """NHWC transpose -> flatten -> dense: permute the rows of the weights instead."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    known, uses = shapes(graph), _uses(graph)
    for transpose in [node for node in graph.node if node.op_type == "Transpose"]:
        reshape = _only_user(graph, transpose.output[0], "Reshape")
        # A dense layer is a MatMul, or a Gemm where its bias is not zero.
        dense = reshape and _only_user(graph, reshape.output[0], "MatMul", "Gemm")
        if reshape is None or dense is None or _ints(transpose, "perm") != _NHWC:
            continue
        kernel = weights.get(dense.input[1])
        source = known.get(transpose.input[0])
        if kernel is None or source is None or dense.input[0] != reshape.output[0]:
            continue
        if any(attribute.i for attribute in dense.attribute if "trans" in attribute.name):
            continue
        if uses[kernel.name] != 1:
            continue
        if known.get(reshape.output[0]) != (source[0], int(np.prod(source[1:]))):
            continue
        array = numpy_helper.to_array(kernel)
        _, channels, height, width = source
        rows = array.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
        kernel.CopyFrom(numpy_helper.from_array(rows.reshape(array.shape).copy(), kernel.name))
        reshape.input[0] = transpose.input[0]
        graph.node.remove(transpose)


def _fold_batch_norms(graph: onnx.GraphProto) -> None:
    """Conv -> BatchNormalization becomes one Conv: w' = w g / sd, b' = (b - mean) g / sd + beta."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    uses = _uses(graph)
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        conv = next((n for n in graph.node if norm.input[0] in n.output), None)
        if conv is None or conv.op_type != "Conv" or uses[norm.input[0]] != 1:
            continue
        if any(name not in weights for name in (*conv.input[1:], *norm.input[1:])):
            continue
        epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
        gamma, beta, mean, variance = (
            numpy_helper.to_array(weights[name]).astype(np.float64) for name in norm.input[1:]
        )
        kernel = numpy_helper.to_array(weights[conv.input[1]]).astype(np.float64)
        bias = (
            numpy_helper.to_array(weights[conv.input[2]]).astype(np.float64)
            if len(conv.input) > 2
            else np.zeros(len(gamma))
        )
        scale = gamma / np.sqrt(variance + epsilon)
        folded = (kernel * scale[:, None, None, None]).astype(np.float32)
        shifted = ((bias - mean) * scale + beta).astype(np.float32)
        # New tensors, since another convolution may share the old ones.
        added = [
            numpy_helper.from_array(folded, f"{norm.output[0]}/folded_kernel"),
            numpy_helper.from_array(shifted, f"{norm.output[0]}/folded_bias"),
        ]
        graph.initializer.extend(added)
        conv.input[:] = [conv.input[0], *(tensor.name for tensor in added)]
        conv.output[0] = norm.output[0]
        graph.node.remove(norm)


def _drop_unused_initializers(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    live = {name for node in graph.node for name in node.output}
    for value in [value for value in graph.value_info if value.name not in live]:
        graph.value_info.remove(value)


def _name_by_place(graph: onnx.GraphProto) -> None:
    """Name everything after the node that makes it, or that is the first to use it.

    tf2onnx' names hold a counter of the process, and of equal constants it keeps any one.
    """
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    taken: set[str] = set()
    for node in graph.node:
        # A counter marks what the exporter added to a layer.
        node.name = _free_name(_COUNTER.sub(f"/{node.op_type}", node.name) or node.op_type, taken)
        for position, value in enumerate(node.input):
            names.setdefault(value, f"{node.name}/input_{position}")
        for position, value in enumerate(node.output):
            names.setdefault(value, f"{node.name}:{position}")
        node.input[:] = [names[value] for value in node.input]
        node.output[:] = [names[value] for value in node.output]
    place = {name: number for number, name in enumerate(names.values())}
    for named in (graph.initializer, graph.value_info):
        for item in named:
            item.name = names[item.name]
        named.sort(key=lambda item: place[item.name])


def _free_name(wanted: str, taken: set[str]) -> str:
    """``wanted``, or with the first number that makes it unique."""
    candidates = (wanted if n == 1 else f"{wanted}_{n}" for n in itertools.count(1))
    name = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(name)
    return name


def _uses(graph: onnx.GraphProto) -> Counter[str]:
    """How often each value is read, by nodes or as an output of the graph."""
    read = [name for node in graph.node for name in node.input]
    return Counter([*read, *(value.name for value in graph.output)])


def _replace_uses(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name == old:
                node.input[position] = new


def _only_user(graph: onnx.GraphProto, value: str, *kinds: str) -> onnx.NodeProto | None:
    users = [node for node in graph.node if value in node.input]
    alone = len(users) == 1 and _uses(graph)[value] == 1
    return users[0] if alone and users[0].op_type in kinds else None


def _ints(node: onnx.NodeProto, name: str) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == name), [])
