"""TFLite float32 -> TFLite int8 by static range quantization (A8W8, per-channel weights).

The scheme is LiteRT's own: int8 activations with a zero point, int8 weights per channel with zero
point 0 (https://ai.google.dev/edge/litert/models/quantization_spec). The last layer and its
sigmoid or softmax stay float, since an int8 probability has 256 values only: too few for a
threshold and for the ROC curve.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from ai_edge_quantizer import qtyping, quantizer, recipe_manager

from allnet_edge.convert.bias_of_tflite import correct_biases
from allnet_edge.convert.int32_biases import make_biases_fit
from allnet_edge.convert.ranges import ChannelMeans, Range
from allnet_edge.convert.tflite_graph import WEIGHTED, Graph, read_graph, write_graph
from allnet_edge.convert.tflite_islands import with_float_neighbours
from allnet_edge.errors import ConversionError, first_line

_FLOAT = "no_quantize"
_DEAD = 1e-6  # a range below it is no range
_STEEPEST = 256.0
_ROUNDS = 8
_FLOAT_TAIL = r".*/logits/.*|StatefulPartitionedCall.*|.*probability.*"
_Operation = qtyping.TFLOperationName


def int8_from_tflite(
    float_model: Path,
    ranges: Mapping[str, Range],
    *,
    keep_float: Iterable[str] = (),
    channel_means: ChannelMeans | None = None,
) -> bytes:
    """Quantize a graph; nothing is observed here.

    Args:
        ranges: By tensor of that graph, from ``observe_tflite`` and an estimator, or learned. The
            pixels get 0..255 whatever theirs is.
        keep_float: What to leave in float besides the last layer: names of layers, of nodes of the
            ONNX graph, or of tensors (``Graph.scopes_named`` says how they are found). An operator
            into which several layers were fused stays float if one of them is named.
        channel_means: From the same observation, to correct biases for the rounding of weights;
            None leaves them.

    Returns:
        A flatbuffer: int8 [1, size, size, 3] pixels with scale 1 and zero point -128, exactly
        ``pixel - 128``; float32 probabilities.

    Raises:
        ConversionError: A tensor has no range, nothing is called as ``keep_float`` says, or the
            quantizer refuses the graph.
    """
    graph = read_graph(float_model)
    kept = _float_scopes(graph, keep_float)
    known = _live_ranges(graph, ranges, float_model)
    steps = {name: _step(ends) for name, ends in known.items()}
    changed = make_biases_fit(graph, steps, keep_float=kept)
    if channel_means is not None:
        correct_biases(graph, channel_means, keep_float=kept)
        changed = True
    content = write_graph(graph) if changed else float_model.read_bytes()
    try:
        work = quantizer.Quantizer(content, _recipe(kept).get_quantization_recipe())
        with np.errstate(invalid="raise"):  # a number that its integer type does not hold
            return _quantize(work, known, float_model)
    except (ValueError, RuntimeError, FloatingPointError) as error:
        raise ConversionError(
            f"the TFLite graph cannot be quantized: {first_line(error)}",
            where=float_model,
        ) from error


def _float_scopes(graph: Graph, keep_float: Iterable[str]) -> frozenset[str]:
    """Scopes of the operators that stay float, those of the tail among them."""
    named = {scope for name in keep_float for scope in graph.scopes_named(name)}
    tail = re.compile(_FLOAT_TAIL)
    asked = named | {s for s in map(graph.scope, graph.operators) if tail.search(s)}
    return with_float_neighbours(graph, asked)


def _recipe(kept: Iterable[str]) -> recipe_manager.RecipeManager:
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(".*", _Operation.ALL_SUPPORTED, 8, 8)
    for scope in sorted(kept):
        recipe.add_quantization_config(
            f"^{re.escape(scope)}$", _Operation.ALL_SUPPORTED, algorithm_key=_FLOAT
        )
    recipe.add_quantization_config(".*", _Operation.OUTPUT, algorithm_key=_FLOAT)
    return recipe


def _live_ranges(graph: Graph, ranges: Mapping[str, Range], where: Path) -> dict[str, qtyping.QSV]:
    """For every activation the ends that the quantizer is to cover.

    The pixels are 0..255 whatever the calibration images hold: their scale is then 1, and
    quantizing one loses nothing. A tensor that is constant on every image, such as a dead ReLU,
    gets a range that holds 0, 1 and its value: its range of nothing would become a scale of 4e-12,
    which clips whatever an unseen cell makes of that channel, and whose requantization factor
    crashes XNNPACK.
    """
    found = {}
    pixels, *others = graph.activations()
    found[graph.name(pixels)] = _ends(0.0, 255.0, len(graph.tensor(pixels).shape))
    for at in others:
        name = graph.name(at)
        if name not in ranges:
            raise ConversionError(
                f"there is no range for '{name}'",
                where=where,
                fix="observe this very graph: ranges go by the names of its tensors",
            )
        low, high = ranges[name].low, ranges[name].high
        if not ranges[name].finite:
            raise ConversionError(f"the range of '{name}' is not finite", where=where)
        if high - low < _DEAD:
            low, high = min(low, 0.0), max(high, 1.0)
        found[name] = _ends(low, high, len(graph.tensor(at).shape))
    return found


def _ends(low: float, high: float, rank: int) -> qtyping.QSV:
    shape = (1,) * rank
    return {
        "min": np.full(shape, low, np.float32),
        "max": np.full(shape, high, np.float32),
    }


def _step(ends: qtyping.QSV) -> float:
    """The int8 scale of a range, which the quantizer widens to hold 0."""
    return (max(float(ends["max"].max()), 0.0) - min(float(ends["min"].min()), 0.0)) / 255


def _quantize(
    work: quantizer.Quantizer, ranges: dict[str, qtyping.QSV], float_model: Path
) -> bytes:
    """Quantize; widen the ranges of layers that XNNPACK would crash on, and quantize again.

    Those layers are nearly dead: their outputs are tiny beside their inputs. A wider range costs
    digits of numbers that hardly count, and the gate judges what that does.
    """
    for _ in range(_ROUNDS):
        result = work.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        quantized = bytes(result.quantized_model)
        steep = _steep(quantized)
        if not steep:
            return quantized
        for name, scale in steep.items():
            found = ranges[name]
            highest = np.maximum(found["max"], np.float32(255 * scale))
            ranges = {**ranges, name: {**found, "max": highest}}
    raise ConversionError(
        f"'{next(iter(steep))}' needs a requantization factor that XNNPACK cannot take",
        where=float_model,
        fix="the layer is nearly dead: train longer, or keep it in float",
    )


def _steep(quantized: bytes) -> dict[str, float]:
    """Outputs of layers whose requantization factor is 256 or more, and the scale they need.

    The factor is input scale x weight scale / output scale. XNNPACK supports less than 256, and
    LiteRT 2.3 aborts on more instead of using its own kernels.
    """
    graph = read_graph(quantized)
    found: dict[str, float] = {}
    for operator in graph.operators:
        if graph.kind(operator) not in WEIGHTED:
            continue
        places = [int(at) for at in (*operator.inputs[:2], operator.outputs[0])]
        kinds = [graph.tensor(at).quantization for at in places]
        scales = [kind.scale if kind else None for kind in kinds]
        known = [np.asarray(s, np.float64) for s in scales if s is not None and len(s)]
        if len(known) < 3:
            continue  # a layer that stays float
        source, weights, target = known
        product = float((source[0] * weights).max())
        if product / target[0] >= _STEEPEST:
            found[graph.name(places[2])] = 2 * product / _STEEPEST
    return found
