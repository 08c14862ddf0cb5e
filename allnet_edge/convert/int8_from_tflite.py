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
from ai_edge_quantizer import calibrator, qtyping, quantizer, recipe_manager
from ai_edge_quantizer.utils import qsv_utils

from allnet_edge.errors import ConversionError, first_line
from allnet_edge.progress import Progress, silent

_INPUT, _SIGNATURE = "pixels", "serving_default"
_FLOAT = "no_quantize"
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
        return bytes(work.quantize(_with_whole_input(ranges)).quantized_model)
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
