"""Probabilities of a network on cells, the same way for the reference and every candidate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.data.images import iter_batches
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import Split
from allnet_edge.errors import IntegrityError
from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.thresholds import fit_threshold, transfer_threshold
from allnet_edge.models.storage.float_model import FloatModel
from allnet_edge.pipeline.sources import cells_of
from allnet_edge.pipeline.stage import Work
from allnet_edge.progress import Progress
from allnet_edge.spec.network import Preprocess

Probabilities = npt.NDArray[np.float32]
Infer = Callable[[npt.NDArray[np.uint8]], Probabilities]


@dataclass(frozen=True, slots=True)
class Judged:
    """The cells of one part of the split, and where their images lie."""

    cells: Cells
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, part: str, index: SampleIndex, split: Split, model: FloatModel) -> "Judged":
        """The cells of ``part``; raises DataError for a class that the network does not know."""
        samples: tuple[Sample, ...] = split.samples(part, index)
        return cls(cells_of(samples, model), tuple(index.path(sample) for sample in samples))


def score(
    infer: Infer, paths: Sequence[Path], preprocess: Preprocess, what: str, progress: Progress
) -> Probabilities:
    """Probabilities float32 [n] of the positive class."""
    found: list[Probabilities] = []
    done = 0
    for batch in iter_batches(paths, preprocess, batch_size=32):
        found.append(np.asarray(infer(batch), np.float32).reshape(len(batch)))
        done += len(batch)
        progress(what, done, len(paths))
    return np.concatenate(found)


def save_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Write an .npz whose bytes depend on the arrays alone."""
    np.savez(path, **arrays)  # type: ignore[arg-type]  # the stub takes a name for allow_pickle


OWN = "own.npz"
"""In the folder of the reference: the answers of the network that is built, where it is another."""
PRUNED = "answers.npz"
"""In the folder of the pruning: the answers of the pruned network."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The float network's frozen answers: ``reference.npz``.

    Attributes:
        test: Empty for who may only choose, not judge.
    """

    threshold: float
    validation: Probabilities
    test: Probabilities

    @classmethod
    def read(cls, work: Work, validation: Cells, test: Cells | None = None) -> "Reference":
        """Read them, and check that they are about these very images.

        Raises:
            IntegrityError: They are about others.
        """
        path = work.stages["reference"] / "reference.npz"
        with np.load(path) as stored:
            for part, cells in (("validation", validation), ("test", test)):
                if cells and tuple(stored[f"{part}_sha256"].tolist()) != cells.sha256s:
                    raise IntegrityError(
                        f"the frozen answers are about other {part} cells", where=path
                    )
            return cls(
                float(stored["threshold"]),
                stored["validation_scores"],
                stored["test_scores"] if test else np.empty(0, np.float32),
            )


def base_of(work: Work, reference: Reference, validation: Cells) -> Scores:
    """What the network that the candidates are made from says of the validation cells.

    It is the reference itself, unless that is another network (``--against``): another network has
    its own operating point, fitted on the same cells. A pruned one has the threshold that is
    transferred to it.
    """
    base = Scores(reference.validation, reference.threshold)
    own = work.stages["reference"] / OWN
    if own.is_file():
        with np.load(own) as stored:
            scores = stored["validation"]
        base = Scores(scores, fit_threshold(validation.labels, scores))
    if "prune" not in work.stages:
        return base
    with np.load(work.stages["prune"] / PRUNED) as stored:
        pruned = stored["validation"]
    return Scores(pruned, transfer_threshold(base.scores, base.threshold, pruned))
