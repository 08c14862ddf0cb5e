"""The float network with like ranges in every channel: the same function, easier to quantize."""

import tf_keras

from allnet_edge.compress.equalise import equalise
from allnet_edge.convert.exact import require_full_float32
from allnet_edge.measure.system import package_version
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import TrainingRecord
from allnet_edge.pipeline.stage import Work


def run(work: Work) -> None:
    """Write another float model."""
    require_full_float32()
    before = work.stages.get("prune", work.sources.run)
    model, network = float_model.instantiate(tf_keras, before)
    float_model.save(
        work.folder,
        equalise(network),
        model.spec,
        label_index=model.label_index,
        split_sha256=model.split_sha256,
        record=TrainingRecord(
            how="equalise",
            parents=(model.weights_sha256,),
            versions={"tf-keras": package_version("tf-keras") or "unknown"},
        ),
    )
