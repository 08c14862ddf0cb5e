"""Batches of images: holds file names and labels only; the two Kerases wrap it."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.data.images import load_batch
from allnet_edge.spec.network import Preprocess
from allnet_edge.spec.training import Augmentation

Pixels = npt.NDArray[np.float32]
Labels = npt.NDArray[np.float32]


class ImageBatches:
    """One pass over a set of images.

    A pass is fully fixed by its seed: killing a run and resuming it gives the same batches.

    Args:
        paths: Image files.
        labels: Class index of each.
        order: Sequence in which the images come; None keeps theirs.
        augment: Applied on the fly, differently in every pass.
        seed: Of the augmentation; (run seed, epoch).
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int],
        preprocess: Preprocess,
        batch_size: int,
        *,
        order: npt.NDArray[np.int64] | None = None,
        augment: Augmentation = "none",
        seed: tuple[int, int] = (0, 0),
    ) -> None:
        self._paths = paths
        self._labels = np.asarray(labels, np.float32)[:, None]
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._order = np.arange(len(paths)) if order is None else order
        self._augment = augment
        self._seed = seed

    def __len__(self) -> int:
        """Number of batches; the last one may be smaller."""
        return math.ceil(len(self._order) / self._batch_size)

    def __getitem__(self, number: int) -> tuple[Pixels, Labels]:
        """Pixels float32 [b, size, size, 3] in 0..255 and labels float32 [b, 1]."""
        chosen = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        images = load_batch([self._paths[i] for i in chosen], self._preprocess)
        if self._augment == "dihedral":
            rng = np.random.default_rng((*self._seed, number))
            images = np.stack([_dihedral(image, rng) for image in images])
        return images.astype(np.float32), self._labels[chosen]


def shuffled(count: int, seed: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The order of the images in one epoch; ``seed`` is (run seed, epoch)."""
    return np.random.default_rng(seed).permutation(count)


def _dihedral(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One of the eight symmetries of the square: cells have no up and no left."""
    image = np.rot90(image, int(rng.integers(4)))
    return image[:, ::-1] if rng.integers(2) else image
