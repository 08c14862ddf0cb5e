"""Prune the float network and fine-tune it on the training part."""

import numpy as np
import numpy.typing as npt
import tf_keras

from allnet_edge import models
from allnet_edge.artifacts.files import write_json
from allnet_edge.compress.pruning import LabelledFiles, apply_pruning
from allnet_edge.convert.exact import require_full_float32
from allnet_edge.data.deal import Part
from allnet_edge.measure.system import package_version
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import TrainingRecord
from allnet_edge.models.storage.weights import assign
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.scoring import PRUNED, Judged, save_arrays, score


def run(work: Work) -> None:
    """Write another float model, ``pruning.json`` with what was done and the zeros of every
    kernel, and ``answers.npz`` with its probabilities, so that the gate can tell what pruning lost
    from what the export lost.

    Raises:
        RecipeError: The budget of multiply-accumulates cannot be met.
    """
    require_full_float32()
    model, network = float_model.instantiate(tf_keras, work.sources.run)
    index, split = work.sources.load(work.progress)
    settings = work.recipe.prune

    def files(part: Part) -> LabelledFiles:
        samples = split.samples(part, index)
        return LabelledFiles(
            [index.path(sample) for sample in samples],
            [model.label_index[sample.label] for sample in samples],
        )

    done = apply_pruning(
        network,
        model.spec,
        settings,
        files("train"),
        files("validation"),
        progress=work.progress,
    )
    float_model.save(
        work.folder,
        done.arrays,
        done.spec,
        label_index=model.label_index,
        split_sha256=model.split_sha256,
        record=TrainingRecord(
            how="prune",
            parents=(model.weights_sha256,),
            settings=settings.model_dump(mode="json"),
            versions={
                name: package_version(name) or "unknown"
                for name in ("tensorflow-model-optimization", "tf-keras")
            },
        ),
    )
    write_json(work.folder / "pruning.json", done.to_json())
    network = models.build(tf_keras, done.spec)
    assign(network, done.arrays)
    answers: dict[str, npt.NDArray[np.generic]] = {
        part: score(
            lambda images: network.predict(images.astype(np.float32), verbose=0),
            Judged.of(part, index, split, model).paths,
            model.spec.preprocess,
            f"pruned network on {part} cells",
            work.progress,
        )
        for part in ("validation", "test")
    }
    save_arrays(work.folder / PRUNED, answers)
