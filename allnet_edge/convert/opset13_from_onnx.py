"""ONNX opset 17 -> opset 13 with float32 pixels: what TensorRT 8.0 to 8.2 (JetPack 4.6) reads.

onnx's own version converter goes upwards: downwards it lacks adapters for BatchNormalization, Mul
and others. The operators of our graphs mean the same in both, so that little is left to do: drop
attributes that opset 13 does not know and that say nothing, and lower the numbers. An operator
that is not known to mean the same is refused.
"""

import onnx
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper

from allnet_edge.errors import ConversionError

OPSET = 13
_IR = 7  # of ONNX 1.8, which brought opset 13

# Between opset 13 and 17 these gained types or attributes and kept their meaning.
SAME_MEANING = frozenset(
    {
        "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv",
        "DequantizeLinear", "Div", "Flatten", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
        "HardSigmoid", "Identity", "LeakyRelu", "MatMul", "MaxPool", "Mul", "Pad", "QuantizeLinear",
        "ReduceMean", "Relu", "Reshape", "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "Sub",
        "Tanh", "Transpose", "Unsqueeze",
    }
)  # fmt: skip


def opset13_from_onnx(model: ModelProto) -> ModelProto:
    """Lower a graph.

    Args:
        model: Opset 17 at most, one input: uint8 or float32 pixels in 0..255, [1, h, w, 3].

    Returns:
        The same function of float32 pixels, opset 13.

    Raises:
        ConversionError: An operator or an attribute that opset 13 does not have.
    """
    lowered = ModelProto()
    lowered.CopyFrom(model)
    for node in lowered.graph.node:
        _lower(node)
    _take_floats(lowered)
    del lowered.opset_import[:]
    lowered.opset_import.append(helper.make_opsetid("", OPSET))
    lowered.ir_version = min(_IR, model.ir_version)
    try:
        onnx.checker.check_model(lowered, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ConversionError(f"the graph is not legal in opset {OPSET}: {error}") from error
    return lowered


def _lower(node: NodeProto) -> None:
    if node.domain or node.op_type not in SAME_MEANING:
        raise ConversionError(
            f"the operator {node.op_type} is not known to mean the same in opset {OPSET}",
            where=node.name,
            fix="replace that layer in the network, or leave JetPack 4.6 out of the target",
        )
    known = onnx.defs.get_schema(node.op_type, OPSET).attributes
    newest = onnx.defs.get_schema(node.op_type).attributes
    for attribute in [one for one in node.attribute if one.name not in known]:
        default = newest[attribute.name].default_value if attribute.name in newest else None
        if default is None or not _equal(attribute, default):
            raise ConversionError(
                f"{node.op_type} has {attribute.name}, which opset {OPSET} does not know",
                where=node.name,
            )
        node.attribute.remove(attribute)


def _equal(one: AttributeProto, other: AttributeProto) -> bool:
    same: bool = helper.get_attribute_value(one) == helper.get_attribute_value(other)
    return same


def _take_floats(model: ModelProto) -> None:
    """TensorRT takes uint8 from 8.5 on."""
    (source,) = model.graph.input
    kind = source.type.tensor_type
    if kind.elem_type == TensorProto.FLOAT:
        return
    readers = [node for node in model.graph.node if source.name in node.input]
    if any(node.op_type != "Cast" for node in readers):
        raise ConversionError("the pixels go elsewhere than into a Cast", where=source.name)
    kind.elem_type = TensorProto.FLOAT
    for node in readers:
        if helper.get_attribute_value(node.attribute[0]) != TensorProto.FLOAT:
            continue  # to half: still a cast
        for other in model.graph.node:
            for position, name in enumerate(other.input):
                if name == node.output[0]:
                    other.input[position] = source.name
        model.graph.node.remove(node)
