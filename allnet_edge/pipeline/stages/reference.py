"""The float network's answers, frozen: what every candidate is compared with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tf_keras

from allnet_edge.artifacts.files import write_json
from allnet_edge.convert.exact import require_full_float32
from allnet_edge.measure.cells import Cells
from allnet_edge.measure.metrics import confusion
from allnet_edge.measure.thresholds import fit_threshold
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.scoring import OWN, Judged, Probabilities, save_arrays, score


def run(work: Work) -> None:
    """Write ``reference.npz``: per part the ids, hashes, labels and probabilities, and the
    threshold, fitted on validation cells; ``own.npz`` with the answers of the network that is
    built, where it is judged against another.
    """
    require_full_float32()
    answers = _answers_of(work, work.sources.reference)
    if work.sources.against is not None:
        own = _answers_of(work, work.sources.run)
        save_arrays(work.folder / OWN, {part: answer.scores for part, answer in own.items()})
    fitted = answers["validation"]
    threshold = fit_threshold(fitted.cells.labels, fitted.scores)
    arrays: dict[str, npt.NDArray[np.generic]] = {"threshold": np.array(threshold)}
    for part, answer in answers.items():
        arrays |= {
            f"{part}_ids": np.array(answer.cells.ids),
            f"{part}_sha256": np.array(answer.cells.sha256s),
            f"{part}_labels": answer.cells.labels,
            f"{part}_scores": answer.scores,
        }
    save_arrays(work.folder / "reference.npz", arrays)
    counts = {
        part: confusion(answer.cells.labels, answer.scores, threshold).to_json()
        for part, answer in answers.items()
    }
    write_json(
        work.folder / "reference.json",
        {"threshold": threshold, "fitted_on": "validation", "confusion": counts},
    )
    work.log.info("threshold %.4f, %s", threshold, counts)


@dataclass(frozen=True, slots=True)
class _Answers:
    cells: Cells
    scores: Probabilities


def _answers_of(work: Work, run: Path) -> dict[str, _Answers]:
    """Of the network in a run, on the parts that are judged; its own preprocessing."""
    model, network = float_model.instantiate(tf_keras, run)
    index, split = work.sources.load(work.progress)
    answers: dict[str, _Answers] = {}
    for part in ("validation", "test"):
        judged = Judged.of(part, index, split, model)
        scores = score(
            lambda images: network.predict(images.astype(np.float32), verbose=0),
            judged.paths,
            model.spec.preprocess,
            f"{model.spec.network} in Keras on {part} cells",
            work.progress,
        )
        answers[part] = _Answers(judged.cells, scores)
    return answers
