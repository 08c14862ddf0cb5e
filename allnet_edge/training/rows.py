"""The images of a part of the split, with their labels and weights, as the training loop asks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from allnet_edge.data.blended import Blended
from allnet_edge.data.open_pixels import open_pixels
from allnet_edge.data.pixels import ImageFiles, PixelSource
from allnet_edge.data.samples import LabelMap, Sample, SampleIndex
from allnet_edge.data.selected import Selected
from allnet_edge.errors import RecipeError
from allnet_edge.progress import Progress
from allnet_edge.spec.network import Preprocess
from allnet_edge.spec.training import TrainRuntime, TrainSettings
from allnet_edge.training.smote import plan_blends, thumbnail

_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Rows:
    """Images by number.

    Attributes:
        source: Their pixels; open.
        labels: Class of each, int64 ``(n,)``.
        weights: In the loss, float32 ``(n,)``; None weighs all alike.
    """

    source: PixelSource
    labels: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return int(self.labels.size)


@contextmanager
def open_parts(
    parts: Sequence[Sequence[Sample]],
    index: SampleIndex,
    labels: LabelMap,
    preprocess: Preprocess,
    *,
    runtime: TrainRuntime,
    progress: Progress,
) -> Iterator[list[Rows]]:
    """The rows of each part; threads, processes and files are released at the end.

    All parts look into one source over the whole data set: one pool of workers, and one cache that
    serves every split of the set.
    """
    everything = index.samples
    files = ImageFiles(
        [index.path(sample) for sample in everything], preprocess, [s.sha256 for s in everything]
    )
    place = {sample.id: row for row, sample in enumerate(everything)}
    with open_pixels(files, workers=runtime.workers, cache=runtime.cache, progress=progress) as got:
        yield [
            Rows(
                Selected(got, np.array([place[sample.id] for sample in samples], np.int64)),
                np.array([labels.index[sample.label] for sample in samples], np.int64),
            )
            for samples in parts
        ]


def balanced(rows: Rows, classes: int, settings: TrainSettings, progress: Progress) -> Rows:
    """The rows of the TRAINING part with what the recipe does about unequal classes.

    Raises:
        RecipeError: ``negative-share`` with more than two classes.
    """
    if settings.oversample == "smote":
        return _with_blends(rows, settings.seed, progress)
    if settings.class_weights == "none":
        return rows
    counts = np.bincount(rows.labels, minlength=classes)
    if settings.class_weights == "balanced":
        of_class = len(rows) / (classes * counts)
    elif classes == 2:
        of_class = np.array([1.0, counts[0] / len(rows)])
    else:
        raise RecipeError(
            f"class_weights 'negative-share' is for two classes, not {classes}",
            fix="use 'balanced', or name --positive classes",
        )
    return replace(rows, weights=of_class[rows.labels].astype(np.float32))


def _with_blends(rows: Rows, seed: int, progress: Progress) -> Rows:
    small = []
    for start in range(0, len(rows), _AT_ONCE):
        chosen = np.arange(start, min(start + _AT_ONCE, len(rows)))
        small.append(thumbnail(rows.source.rows(chosen)))
        progress("neighbours for SMOTE", int(chosen[-1]) + 1, len(rows))
    blends = plan_blends(np.concatenate(small), rows.labels, seed)
    source = Blended(rows.source, blends.pairs, blends.shares)
    return Rows(source, np.concatenate([rows.labels, blends.labels]))
