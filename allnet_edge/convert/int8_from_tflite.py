"""TFLite float32 -> TFLite int8 by static range quantization (A8W8, per-channel weights).

The scheme is LiteRT's own: int8 activations with a zero point, int8 weights per channel with zero
point 0 (https://ai.google.dev/edge/litert/models/quantization_spec). The last layer and its
sigmoid or softmax stay float, since an int8 probability has 256 values only: too few for a
threshold and for the ROC curve.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
from ai_edge_quantizer.utils import qsv_utils, tfl_flatbuffer_utils

from allnet_edge.errors import ConversionError, first_line
from allnet_edge.progress import Progress, silent

_INPUT, _SIGNATURE = "pixels", "serving_default"
_FLOAT = "no_quantize"
_DEAD = 1e-6  # a range below it is no range
_STEEPEST = 256.0
_ROUNDS = 8
_WEIGHTED = {
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.FULLY_CONNECTED,
}
_FLOAT_TAIL = r".*/logits/.*|StatefulPartitionedCall.*|.*probability.*"
_Operation = qtyping.TFLOperationName


def int8_from_tflite(
    float_model: Path,
    calibration: Iterable[npt.NDArray[np.uint8]],
    *,
    threads: int = 1,
    keep_float: Iterable[str] = (),
    progress: Progress = silent,
) -> bytes:
    """Quantize a graph.

    Args:
        calibration: Images uint8 [size, size, 3]; all are used, ranges are minimum and maximum.
        keep_float: Names of layers to leave in float besides the last one.

    Returns:
        A flatbuffer: int8 [1, size, size, 3] pixels with scale 1 and zero point -128, exactly
        ``pixel - 128``; float32 probabilities.

    Raises:
        ConversionError: No calibration image, or the quantizer refuses the graph.
    """
    recipe = _recipe(keep_float)
    # The library's own default is a moving average, which depends on the order of the images.
    observer = calibrator.Calibrator(
        str(float_model), num_threads=threads, qsv_update_func=qsv_utils.min_max_update
    )
    try:
        for done, image in enumerate(calibration, start=1):
            step = {_INPUT: image[None].astype(np.float32)}
            observer.calibrate({_SIGNATURE: [step]}, recipe)
            progress("TFLite ranges", done, 0)
        ranges = observer.get_model_qsvs()
        if not ranges:
            raise ConversionError("there are no calibration images to take ranges from")
        work = quantizer.Quantizer(str(float_model), recipe.get_quantization_recipe())
        return _quantize(work, _with_live_ranges(_with_whole_input(ranges)), float_model)
    except (ValueError, RuntimeError) as error:
        raise ConversionError(
            f"the TFLite graph cannot be quantized: {first_line(error)}",
            where=float_model,
        ) from error


def _recipe(keep_float: Iterable[str]) -> recipe_manager.RecipeManager:
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(".*", _Operation.ALL_SUPPORTED, 8, 8)
    for scope in (_FLOAT_TAIL, *(f".*/{re.escape(name)}/.*" for name in keep_float)):
        recipe.add_quantization_config(scope, _Operation.ALL_SUPPORTED, algorithm_key=_FLOAT)
    recipe.add_quantization_config(".*", _Operation.OUTPUT, algorithm_key=_FLOAT)
    return recipe


def _with_whole_input(ranges: dict[str, qtyping.QSV]) -> dict[str, qtyping.QSV]:
    """Give the pixels the range 0..255 whatever the calibration images hold.

    The scale is then 1, and quantizing a pixel loses nothing.
    """
    name = next(name for name in ranges if name.split(":")[0].endswith(_INPUT))
    whole = {
        "min": np.zeros_like(ranges[name]["min"]),
        "max": np.full_like(ranges[name]["max"], 255.0),
    }
    return {**ranges, name: {**ranges[name], **whole}}


def _with_live_ranges(ranges: dict[str, qtyping.QSV]) -> dict[str, qtyping.QSV]:
    """Give 0..1 to tensors that are constant on every calibration image, such as dead ReLUs.

    Their range of nothing would become a scale of 4e-12, which clips whatever an unseen cell
    makes of that channel, and whose requantization factor crashes XNNPACK.
    """
    return {
        name: {
            **found,
            "min": np.minimum(found["min"], 0.0),
            "max": np.where(_width(found) < _DEAD, 1.0, found["max"]),
        }
        if found and np.size(found["max"]) == 1 and _width(found) < _DEAD
        else found
        for name, found in ranges.items()
    }


def _width(found: qtyping.QSV) -> float:
    return float(np.max(found["max"]) - np.min(found["min"]))


def _quantize(
    work: quantizer.Quantizer, ranges: dict[str, qtyping.QSV], float_model: Path
) -> bytes:
    """Quantize; widen the ranges of layers that XNNPACK would crash on, and quantize again.

    Those layers are nearly dead: their outputs are tiny beside their inputs. A wider range costs
    digits of numbers that hardly count, and the gate judges what that does.
    """
    for _ in range(_ROUNDS):
        quantized = bytes(work.quantize(ranges).quantized_model)
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
    model = tfl_flatbuffer_utils.read_model(quantized)
    layers = {at for at, code in enumerate(model.operatorCodes) if code.builtinCode in _WEIGHTED}
    found: dict[str, float] = {}
    for graph in model.subgraphs:
        for operator in (one for one in graph.operators if one.opcodeIndex in layers):
            tensors = [graph.tensors[at] for at in (*operator.inputs[:2], operator.outputs[0])]
            scales = [t.quantization.scale if t.quantization else None for t in tensors]
            if any(scale is None or not len(scale) for scale in scales):
                continue  # a layer that stays float
            source, weights, target = (np.asarray(scale, np.float64) for scale in scales)
            product = float((source[0] * weights).max())
            if product / target[0] >= _STEEPEST:
                found[_name(tensors[2])] = 2 * product / _STEEPEST
    return found


def _name(tensor: object) -> str:
    name = getattr(tensor, "name", b"?")
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
