"""The cells of the validation part that a stage may choose by."""

import numpy as np

from allnet_edge.data.images import load_batch
from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.metrics import BoolArray
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.scoring import Judged, Reference, base_of
from allnet_edge.search.foretelling import Ahead
from allnet_edge.search.selection import Selection

_SEED = 0


def selection_of(work: Work, images: int) -> Selection:
    """At most ``images`` validation cells.

    Raises:
        IntegrityError: The frozen answers are about other cells.
    """
    model = work.sources.model()
    index, split = work.sources.load(work.progress)
    judged = Judged.of("validation", index, split, model)
    reference = Reference.read(work, judged.cells)
    base = base_of(work, reference, judged.cells)
    chosen = balanced(judged.cells.labels, images)
    cells = judged.cells
    return Selection(
        cells=Cells(
            ids=tuple(cells.ids[i] for i in chosen),
            sha256s=tuple(cells.sha256s[i] for i in chosen),
            labels=cells.labels[chosen],
            patients=None if cells.patients is None else tuple(cells.patients[i] for i in chosen),
        ),
        images=load_batch([judged.paths[i] for i in chosen], model.spec.preprocess),
        base=Scores(base.scores[chosen], base.threshold),
        reference=Scores(reference.validation[chosen], reference.threshold),
        gate=work.recipe.gate,
    )


def ahead_of(work: Work) -> Ahead:
    """How many cells of each class the gate has; of them nothing else is read."""
    index, split = work.sources.load(work.progress)
    cells = Judged.of("test", index, split, work.sources.model()).cells
    return Ahead(cells.positives, cells.negatives)


def balanced(labels: BoolArray, images: int) -> list[int]:
    """Places of at most ``images`` cells, in order: half of each class as far as there are."""
    rng = np.random.default_rng(_SEED)
    groups = sorted(
        (rng.permutation(np.flatnonzero(labels == kind)) for kind in (True, False)), key=len
    )
    fewer = groups[0][: images // 2]
    more = groups[1][: images - len(fewer)]
    return sorted(np.concatenate([fewer, more]).tolist())
