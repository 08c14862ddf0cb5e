"""The network of the quantization-aware training as ONNX int8, with the ranges that it learned."""

import onnx
import tf_keras

from allnet_edge.artifacts.files import read_json
from allnet_edge.convert.names_of_layers import onnx_ranges
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.graph_rules import require_qdq_rules, require_sparsity
from allnet_edge.pipeline.stages.qat import RANGES


def run(work: Work) -> None:
    """Write ``model.qat.onnx``.

    Raises:
        ConversionError: It breaks a rule of Q/DQ placement, or 2:4 zeros were lost.
    """
    model, network = float_model.instantiate(tf_keras, work.stages["qat"])
    source = work.partial / "float.onnx"
    onnx.save(onnx_from_keras(network, model.spec.input_size), source)
    learned: dict[str, tuple[float, float]] = read_json(work.stages["qat"] / RANGES)  # type: ignore[assignment]
    target = work.folder / "model.qat.onnx"
    qdq_from_onnx(source, target, onnx_ranges(source, learned))
    work.log.info("%s", require_qdq_rules(target))
    require_sparsity(target, work.recipe.prune)
