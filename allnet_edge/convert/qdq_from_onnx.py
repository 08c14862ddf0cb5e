"""ONNX float32 -> ONNX int8 with explicit Q/DQ, the only form that TensorRT 8.5 to 11 all take.

Symmetric: int8, zero point 0 everywhere, weights per output channel. Placement after NVIDIA's
tensorflow-quantization toolkit: a pair before every Conv and MatMul on data and weights, none
between Conv, its folded batch norm and ReLU, so that TensorRT can fuse them. The last layer stays
float.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from allnet_edge.convert.onnx_from_keras import INPUT
from allnet_edge.errors import ConversionError, first_line
from allnet_edge.progress import Progress, silent

_QUANTIZED = ["Conv", "MatMul", "Gemm"]
_OPTIONS = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "QuantizeBias": False,
    "AddQDQPairToWeight": True,
    "OpTypesToExcludeOutputQuantization": [
        *_QUANTIZED, "Add", "MaxPool", "GlobalAveragePool", "Relu", "Clip",
    ],
}  # fmt: skip


def qdq_from_onnx(
    float_model: Path,
    target: Path,
    calibration: Iterable[npt.NDArray[np.uint8]],
    *,
    keep_float: Iterable[str] = (),
    progress: Progress = silent,
) -> None:
    """Quantize a graph and write the result.

    Args:
        float_model: From ``onnx_from_keras``: batch norms folded.
        calibration: Images uint8 [size, size, 3]; all are used, ranges are minimum and maximum.
        keep_float: Names of nodes to leave in float besides the last Conv, MatMul or Gemm.

    Raises:
        ConversionError: No calibration image, the quantizer refuses the graph, or a zero point
            that is not 0 came out.
    """
    graph = onnx.load(float_model).graph
    last = [node.name for node in graph.node if node.op_type in _QUANTIZED][-1]
    reader = _Reader(calibration, progress)
    try:
        quantize_static(
            str(float_model),
            str(target),
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTIZED,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[last, *keep_float],
            extra_options=_OPTIONS,
        )
    except (ValueError, RuntimeError) as error:
        if not reader.read:
            raise ConversionError("there are no calibration images to take ranges from") from error
        raise ConversionError(
            f"the ONNX graph cannot be quantized: {first_line(error)}", where=float_model
        ) from error
    quantized = onnx.load(target)
    _refuse_offsets(quantized, target)
    quantized.doc_string = ""
    onnx.save(quantized, target)


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Hands the images to the calibrator one by one."""

    def __init__(self, images: Iterable[npt.NDArray[np.uint8]], progress: Progress) -> None:
        self._images: Iterator[npt.NDArray[np.uint8]] = iter(images)
        self._progress = progress
        self.read = 0

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        image = next(self._images, None)
        if image is None:
            return None
        self.read += 1
        self._progress("ONNX ranges", self.read, 0)
        return {INPUT: image[None]}


def _refuse_offsets(model: onnx.ModelProto, path: Path) -> None:
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            zero_point = onnx.numpy_helper.to_array(weights[node.input[2]])
            if zero_point.dtype != np.int8 or zero_point.any():
                raise ConversionError(
                    f"{node.name} has a zero point that is not int8 0: TensorRT refuses it",
                    where=path,
                )
