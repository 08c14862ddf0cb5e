"""The float network's answers, frozen: what every candidate is compared with."""

import numpy as np
import tf_keras

from allnet_edge.artifacts.files import write_json
from allnet_edge.measure.metrics import confusion
from allnet_edge.measure.thresholds import fit_threshold
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.scoring import Judged, score


def run(work: Work) -> None:
    """Write ``reference.npz``: per part the ids, hashes, labels and probabilities, and the
    threshold, fitted on validation cells."""
    model, network = float_model.instantiate(tf_keras, work.sources.run)
    index, split = work.sources.load(work.progress)
    arrays: dict[str, np.ndarray] = {}
    for part in ("validation", "test"):
        judged = Judged.of(part, index, split, model)
        scores = score(
            lambda images: network.predict(images.astype(np.float32), verbose=0),
            judged.paths,
            model.spec.preprocess,
            f"Keras on {part} cells",
            work.progress,
        )
        arrays |= {
            f"{part}_ids": np.array(judged.cells.ids),
            f"{part}_sha256": np.array(judged.cells.sha256s),
            f"{part}_labels": judged.cells.labels,
            f"{part}_scores": scores,
        }
    threshold = fit_threshold(arrays["validation_labels"], arrays["validation_scores"])
    np.savez(work.folder / "reference.npz", threshold=np.array(threshold), **arrays)
    counts = {
        part: confusion(arrays[f"{part}_labels"], arrays[f"{part}_scores"], threshold).to_json()
        for part in ("validation", "test")
    }
    write_json(
        work.folder / "reference.json",
        {"threshold": threshold, "fitted_on": "validation", "confusion": counts},
    )
    work.log.info("threshold %.4f, %s", threshold, counts)
