"""Reads any ONNX graph with Q/DQ and says where it breaks the rules of ``qdq_placement``.

A graph that has no violation is one that TensorRT 8.5 to 11 take and can fuse. Nothing is assumed
of how the graph was made.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from allnet_edge.convert.onnx_wiring import Wiring, channel_axis
from allnet_edge.convert.qdq_placement import COMMUTING, RESHAPING, pads_with_zeros

Rule = Literal[
    "zero-point", "type", "data", "weights", "per-channel", "weight-grid", "bias", "fusion",
    "batch-norm", "residual", "concat", "pool", "shared-scale", "head",
]  # fmt: skip

_Q, _DQ = "QuantizeLinear", "DequantizeLinear"
_FUSED = ("Relu", "Clip", "BatchNormalization")


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where a rule is broken.

    Attributes:
        node: Name of the node.
        what: In a sentence.
    """

    rule: Rule
    node: str
    what: str


def violations(
    model: onnx.ModelProto, *, keep_float: Collection[str] = ()
) -> tuple[Violation, ...]:
    """Check a graph.

    Args:
        model: Anything that ``onnx.load`` gives.
        keep_float: Names of nodes that may read float values, besides the head.

    Returns:
        In the order of the graph; empty where all rules hold.
    """
    wiring = Wiring(model.graph)
    kept = frozenset(keep_float)
    found: list[Violation] = []
    for at, node in enumerate(wiring.nodes):
        if node.op_type in (_Q, _DQ):
            found += _of_pair(wiring, node)
        elif at in wiring.tail:
            found += _of_head(wiring, node)
        elif at in wiring.weighted:
            found += _of_kernel(wiring, at, kept)
        elif node.op_type in _FUSED:
            found += _of_fused(wiring, node)
        elif node.op_type in ("Add", "Mul", "MaxPool", "Concat", "Pad"):
            found += _of_glue(wiring, at, kept)
    return tuple(found)


def _of_pair(wiring: Wiring, node: onnx.NodeProto) -> Iterator[Violation]:
    tensor = wiring.constants.get(node.input[2]) if len(node.input) > 2 else None
    if tensor is None:
        yield Violation("type", node.name, "has no constant zero point, so that it means uint8")
        return
    zero = numpy_helper.to_array(tensor)
    if zero.dtype == np.int32 and node.op_type == _DQ:
        return  # a bias, which has a rule of its own
    if zero.dtype != np.int8:
        yield Violation("type", node.name, f"is of type {zero.dtype}, not int8")
    if zero.any():
        yield Violation("zero-point", node.name, f"has a zero point of {int(zero.flat[0])}")


def _of_head(wiring: Wiring, node: onnx.NodeProto) -> Iterator[Violation]:
    for value in node.input:
        maker = wiring.maker(value)
        if maker is not None and maker.op_type == _DQ:
            yield Violation("head", node.name, f"reads '{value}', which is int8")


def _of_kernel(wiring: Wiring, at: int, kept: Collection[str]) -> Iterator[Violation]:
    node = wiring.nodes[at]
    if node.name in kept:
        return
    if not _dequantized(wiring, node.input[0]):
        yield Violation("data", node.name, f"reads '{node.input[0]}' as float")
    if _dequantized(wiring, node.input[1]):
        yield from _of_weights(wiring, node)
    else:
        yield Violation("weights", node.name, f"reads its weights '{node.input[1]}' as float")
    if len(node.input) > 2 and node.input[2] and not _is_float_constant(wiring, node.input[2]):
        yield Violation("bias", node.name, f"has a bias that is not float32: '{node.input[2]}'")


def _of_weights(wiring: Wiring, node: onnx.NodeProto) -> Iterator[Violation]:
    dequantize = wiring.maker(node.input[1])
    weights = _stored_weights(wiring, node.input[1])
    scale = _scale_of(wiring, node.input[1])
    if dequantize is None or weights is None or scale is None:
        return
    axis = channel_axis(node)
    found = next((one.i for one in dequantize.attribute if one.name == "axis"), 1)
    channels = weights.shape[axis]
    if channels > 1 and (scale.size != channels or found % weights.ndim != axis):
        yield Violation(
            "per-channel", node.name, f"has {scale.size} scales for {channels} output channels"
        )
        return
    others = tuple(n for n in range(weights.ndim) if n != axis)
    if weights.dtype == np.int8:
        largest = np.abs(weights.astype(np.int16)).max(axis=others)
        wrong = (largest > 127).any()
    else:
        peak = np.abs(weights).max(axis=others)
        wrong = not np.allclose(scale.reshape(-1)[peak > 0] * 127, peak[peak > 0], rtol=1e-3)
    if wrong:
        yield Violation("weight-grid", node.name, "has weights on another grid than max|w| / 127")


def _of_fused(wiring: Wiring, node: onnx.NodeProto) -> Iterator[Violation]:
    source = wiring.maker(node.input[0])
    if source is None:
        return
    if source.op_type == "Conv" and node.op_type == "BatchNormalization":
        yield Violation("batch-norm", node.name, f"is not folded into {source.name}")
    if source.op_type == _DQ:
        before = _before_pair(wiring, node.input[0])
        origin = wiring.maker(before) if before is not None else None
        if origin is not None and origin.op_type in ("Conv", "MatMul", "Gemm", "Add"):
            yield Violation("fusion", node.name, f"is cut off from {origin.name} by a pair")


def _of_glue(wiring: Wiring, at: int, kept: Collection[str]) -> Iterator[Violation]:
    node = wiring.nodes[at]
    data = [node.input[position] for _, position in wiring.data_inputs(at)]
    integer = [value for value in data if _dequantized(wiring, value)]
    if node.op_type in ("Add", "Mul"):
        if len(data) > 1 and node.name not in kept:
            yield from _of_sum(wiring, node, data, integer)
        return
    if node.op_type == "Concat" and 0 < len(integer) < len(data):
        yield Violation("concat", node.name, f"mixes {len(integer)} int8 with float branches")
    elif node.op_type != "Pad" and not integer and node.name not in kept:
        rule: Rule = "concat" if node.op_type == "Concat" else "pool"
        yield Violation(rule, node.name, "reads float values")
    if node.op_type in COMMUTING and (node.op_type != "Pad" or pads_with_zeros(wiring, at)):
        yield from _of_shared_scale(wiring, node, integer)


def _of_sum(
    wiring: Wiring, node: onnx.NodeProto, data: list[str], integer: list[str]
) -> Iterator[Violation]:
    floats = [value for value in data if value not in integer]
    if node.op_type == "Mul":
        if floats:
            yield Violation("residual", node.name, f"reads '{floats[0]}' as float")
        return
    if len(floats) > 1:
        yield Violation("residual", node.name, "adds two float values")
    for value in floats[:1]:
        maker = wiring.maker(value)
        if maker is None or maker.op_type != "Conv" or not wiring.used_once(value):
            yield Violation(
                "residual", node.name, f"'{value}' is float, but no convolution of its own"
            )


def _of_shared_scale(
    wiring: Wiring, node: onnx.NodeProto, integer: list[str]
) -> Iterator[Violation]:
    after = _scales_after(wiring, node.output[0])
    before = [_scale_of(wiring, value) for value in integer]
    scales = [*before, *(_constant(wiring, name) for name in after)]
    known = {float(scale.flat[0]) for scale in scales if scale is not None and scale.size == 1}
    if len(known) > 1:
        low, high = min(known), max(known)
        yield Violation(
            "shared-scale", node.name, f"has scales of {low:.4g} to {high:.4g} around it"
        )


def _scales_after(wiring: Wiring, value: str) -> list[str]:
    """Names of the scales by which a value is quantized, reordered first or not."""
    found: list[str] = []
    for at, _ in wiring.users(value):
        user = wiring.nodes[at]
        if user.op_type == _Q:
            found.append(user.input[1])
        elif user.op_type in RESHAPING:
            found += _scales_after(wiring, user.output[0])
    return found


def _dequantized(wiring: Wiring, value: str) -> bool:
    maker = wiring.maker(value)
    return maker is not None and maker.op_type == _DQ


def _before_pair(wiring: Wiring, value: str) -> str | None:
    """What a pair reads, from what it makes."""
    dequantize = wiring.maker(value)
    quantize = wiring.maker(dequantize.input[0]) if dequantize is not None else None
    return quantize.input[0] if quantize is not None and quantize.op_type == _Q else None


def _constant(wiring: Wiring, name: str) -> npt.NDArray[np.generic] | None:
    tensor = wiring.constants.get(name)
    return None if tensor is None else numpy_helper.to_array(tensor)


def _scale_of(wiring: Wiring, value: str) -> npt.NDArray[np.generic] | None:
    dequantize = wiring.maker(value)
    return None if dequantize is None else _constant(wiring, dequantize.input[1])


def _stored_weights(wiring: Wiring, value: str) -> npt.NDArray[np.generic] | None:
    """The constant below a pair, or below a DequantizeLinear alone."""
    source = _before_pair(wiring, value)
    dequantize = wiring.maker(value)
    if source is None and dequantize is not None:
        source = dequantize.input[0]
    return None if source is None else _constant(wiring, source)


def _is_float_constant(wiring: Wiring, value: str) -> bool:
    constant = _constant(wiring, value)
    return constant is not None and constant.dtype == np.float32
