"""The float network as TFLite, compared with Keras before anything is built on it.

A stage apart from the export to ONNX: each of the two converters holds the network several times
over, and one process that ran both needed more than twice the memory.
"""

from allnet_edge.artifacts.files import write_bytes, write_json
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.exporting import difference_from_keras, network_of

FILE = "model.fp32.tflite"


def run(work: Work) -> None:
    """Write ``model.fp32.tflite`` and ``agreement.json``."""
    network, size = network_of(work)
    write_bytes(work.folder / FILE, tflite_from_keras(network, size))
    facts = {"max_abs_difference": difference_from_keras(work, network, size, FILE)}
    write_json(work.folder / "agreement.json", facts)
