"""The float network as ONNX and TFLite, compared with Keras before anything is built on them."""

import numpy as np
import numpy.typing as npt
import onnx
import tf_keras

from allnet_edge.artifacts.files import write_bytes, write_json
from allnet_edge.convert.exact import require_full_float32
from allnet_edge.convert.onnx_cleanup import count_transposes
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.data.phantom import generate
from allnet_edge.engines.opening import open_file
from allnet_edge.errors import ConversionError
from allnet_edge.measure.agreement import compare
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.candidates import exported
from allnet_edge.pipeline.stage import Work

TOLERANCE = 1e-4
_PROBES = 8


def run(work: Work) -> None:
    """Write ``model.fp32.onnx`` and ``model.fp32.tflite``, and ``agreement.json``.

    Raises:
        ConversionError: A graph differs from Keras by more than 1e-4 of a probability.
    """
    require_full_float32()
    model, network = float_model.instantiate(tf_keras, work.float_model)
    size = model.spec.input_size
    wanted = exported(work.target)
    facts: dict[str, object] = {}
    if "onnx" in wanted:
        work.progress("ONNX", 0, 0)
        graph = onnx_from_keras(network, size)
        onnx.save(graph, work.folder / "model.fp32.onnx")
        facts["onnx"] = {"nodes": len(graph.graph.node), "transposes": count_transposes(graph)}
    if "tflite" in wanted:
        work.progress("TFLite", 0, 0)
        write_bytes(work.folder / "model.fp32.tflite", tflite_from_keras(network, size))
    probes = probe_images(size)
    expected = network.predict(probes.astype(np.float32), verbose=0).ravel()
    for form in wanted:
        path = work.folder / f"model.fp32.{form}"
        with open_file(path) as runner:
            agreement = compare(expected, runner.infer(probes).ravel())
        work.log.info("%s against Keras: largest difference %.2e", form, agreement.max_abs)
        if agreement.max_abs > TOLERANCE:
            raise ConversionError(
                f"the {form} graph differs from Keras by {agreement.max_abs:.2e} of a probability "
                f"({TOLERANCE:.0e} is allowed)",
                where=path,
                fix="this is a fault of the converter's version; see requirements/ for those tried",
            )
        facts[f"{form}_max_abs_difference"] = agreement.max_abs
    write_json(work.folder / "agreement.json", facts)


def probe_images(size: int) -> npt.NDArray[np.uint8]:
    """uint8 [8, size, size, 3]: phantom cells, so that no real cell travels with a model."""
    images: npt.NDArray[np.uint8] = generate(_PROBES, patients=6, seed=20_211, size=size).images
    return images
