"""The float network as ONNX, compared with Keras before anything is built on it."""

import onnx

from allnet_edge.artifacts.files import write_json
from allnet_edge.convert.onnx_cleanup import count_transposes
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.exporting import difference_from_keras, network_of
from allnet_edge.pipeline.stages.graph_rules import require_sparsity

FILE = "model.fp32.onnx"


def run(work: Work) -> None:
    """Write ``model.fp32.onnx`` and ``agreement.json``.

    Raises:
        ConversionError: 2:4 zeros were lost.
    """
    network, size = network_of(work)
    graph = onnx_from_keras(network, size)
    onnx.save(graph, work.folder / FILE)
    sparse = require_sparsity(work.folder / FILE, work.recipe.prune)
    facts = {
        "max_abs_difference": difference_from_keras(work, network, size, FILE),
        "nodes": len(graph.graph.node),
        "transposes": count_transposes(graph),
        "sparsity": sparse,
    }
    write_json(work.folder / "agreement.json", facts)
