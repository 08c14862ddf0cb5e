"""The network of the quantization-aware training as TFLite int8, with the ranges that it learned.

A stage apart from the ONNX form: each converter holds the network several times over.
"""

import tf_keras

from allnet_edge.artifacts.files import read_json, write_bytes
from allnet_edge.convert.int8_from_tflite import int8_from_tflite
from allnet_edge.convert.names_of_layers import tflite_ranges
from allnet_edge.convert.ranges import read_ranges
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.qat import RANGES


def run(work: Work) -> None:
    """Write ``model.qat.tflite``."""
    model, network = float_model.instantiate(tf_keras, work.stages["qat"])
    source = work.partial / "float.tflite"
    write_bytes(source, tflite_from_keras(network, model.spec.input_size))
    learned: dict[str, tuple[float, float]] = read_json(work.stages["qat"] / RANGES)  # type: ignore[assignment]
    # What no layer's output is, such as the inside of a layer of several operators.
    observed = read_ranges(work.stages["quantize"] / "ranges_tflite.json").by_tensor
    quantized = int8_from_tflite(source, tflite_ranges(source, learned, observed))
    write_bytes(work.folder / "model.qat.tflite", quantized)
