"""A small network that has learned phantom cells, and both int8 forms of what is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tf_keras

from allnet_edge.compress.qat import LearnedRange
from allnet_edge.convert.int8_from_tflite import int8_from_tflite
from allnet_edge.convert.names_of_layers import onnx_ranges, tflite_ranges
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.engines import open_runner


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    odds = np.asarray(probabilities, np.float64).ravel()
    return np.log(odds / (1 - odds))


@dataclass(frozen=True)
class Exported:
    """``float.onnx``, ``int8.onnx``, ``float.tflite`` and ``int8.tflite`` in a folder."""

    folder: Path

    @classmethod
    def of(
        cls, model: tf_keras.Model, ranges: Mapping[str, LearnedRange], folder: Path
    ) -> "Exported":
        size = model.input_shape[1]
        onnx.save(onnx_from_keras(model, size), folder / "float.onnx")
        (folder / "float.tflite").write_bytes(tflite_from_keras(model, size))
        found = onnx_ranges(folder / "float.onnx", ranges)
        qdq_from_onnx(folder / "float.onnx", folder / "int8.onnx", found)
        found = tflite_ranges(folder / "float.tflite", ranges)
        (folder / "int8.tflite").write_bytes(int8_from_tflite(folder / "float.tflite", found))
        return cls(folder)

    def logits(self, file: str, images: np.ndarray) -> np.ndarray:
        """By the runtime that a device uses."""
        with open_runner(self.folder / file, threads=1) as runner:
            return logits_of(runner.infer(images))

    def as_written(self, images: np.ndarray) -> np.ndarray:
        """Of ``int8.onnx``, every node computed as the standard says, nothing fused."""
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            (self.folder / "int8.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        found = [session.run(None, {"pixels": image[None]})[0] for image in images]
        return logits_of(np.concatenate(found))
