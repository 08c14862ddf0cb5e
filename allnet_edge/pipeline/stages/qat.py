"""Quantization-aware training of the float network on the training part."""

import dataclasses

import tf_keras

from allnet_edge.artifacts.files import write_json
from allnet_edge.compress.finetune import FineTuning, Referee
from allnet_edge.compress.pruning import LabelledFiles, opened
from allnet_edge.compress.qat import train_quantized
from allnet_edge.convert.exact import require_full_float32
from allnet_edge.data.deal import Part
from allnet_edge.measure.system import package_version
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import TrainingRecord
from allnet_edge.pipeline.stage import Work

RANGES = "ranges.json"
"""Low and high end of each layer's output, by its name."""


def run(work: Work) -> None:
    """Write the float model that came out, ``ranges.json``, and ``qat.json`` with every epoch."""
    require_full_float32()
    model, network = float_model.instantiate(tf_keras, work.float_model)
    index, split = work.sources.load(work.progress)
    settings = work.recipe.qat

    def files(part: Part) -> LabelledFiles:
        samples = split.samples(part, index)
        return LabelledFiles(
            [index.path(sample) for sample in samples],
            [model.label_index[sample.label] for sample in samples],
        )

    with opened(files("train"), model.spec) as images, opened(files("validation"), model.spec) as v:
        done = train_quantized(
            network,
            images,
            FineTuning(settings.epochs, settings.learning_rate, settings.distil),
            referee=Referee(network, v),
            progress=work.progress,
        )
    float_model.save(
        work.folder,
        done.arrays,
        model.spec,
        label_index=model.label_index,
        split_sha256=model.split_sha256,
        record=TrainingRecord(
            how="qat",
            parents=(model.weights_sha256,),
            settings=settings.model_dump(mode="json"),
            versions={
                name: package_version(name) or "unknown"
                for name in ("tensorflow-model-optimization", "tf-keras")
            },
        ),
    )
    write_json(work.folder / RANGES, {name: list(ends) for name, ends in done.ranges.items()})
    write_json(work.folder / "qat.json", [dataclasses.asdict(epoch) for epoch in done.epochs])
