"""SMOTE for images: which blends fill the smaller classes of a TRAINING part.

Chawla et al. 2002 (doi 10.1613/jair.953): a synthetic sample lies at a random point between a
sample and one of its k nearest neighbours of the same class. OUR READING: neighbours are sought
among thumbnails (whole images differ by where the cell lies), and the blend is made of the full
pixels when a batch is loaded, so that nothing synthetic is ever stored.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_NEIGHBOURS = 5
_THUMBNAIL = 16


@dataclass(frozen=True, slots=True)
class Blends:
    """Synthetic samples.

    Attributes:
        pairs: The two samples of each, int64 ``(m, 2)``.
        shares: Of the second one, 0..1, float32 ``(m,)``.
        labels: Class of each, int64 ``(m,)``.
    """

    pairs: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def plan_blends(
    thumbnails: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], seed: int
) -> Blends:
    """Fill every class up to the size of the largest one.

    Args:
        thumbnails: Any vector that stands for an image, ``(n, features)``, of the training part.
        labels: int64 ``(n,)``.

    A class of one sample has no neighbour: its blends are copies.
    """
    rng = np.random.default_rng(seed)
    counts = np.bincount(labels)
    pairs, shares, classes = [], [], []
    for label in np.flatnonzero(counts):
        members, missing = np.flatnonzero(labels == label), counts.max() - counts[label]
        near = _nearest(thumbnails[members])
        first = rng.integers(members.size, size=missing)
        second = near[first, rng.integers(near.shape[1], size=missing)]
        pairs.append(np.stack([members[first], members[second]], axis=1))
        shares.append(rng.random(missing, dtype=np.float32))
        classes.append(np.full(missing, label, np.int64))
    return Blends(
        np.concatenate(pairs).astype(np.int64), np.concatenate(shares), np.concatenate(classes)
    )


def thumbnail(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Mean colours of a 16x16 grid: uint8 ``(n, side, side, 3)`` to float32 ``(n, 768)``."""
    side = images.shape[1]
    edges = np.linspace(0, side, min(_THUMBNAIL, side) + 1).round().astype(int)
    rows = np.add.reduceat(images.astype(np.float32), edges[:-1], axis=1)
    cells = np.add.reduceat(rows, edges[:-1], axis=2)
    sizes = np.diff(edges)
    return np.asarray(cells / (sizes[:, None] * sizes)[None, :, :, None]).reshape(len(images), -1)


def _nearest(vectors: npt.NDArray[np.float32], block: int = 512) -> npt.NDArray[np.int64]:
    """The nearest others of each vector, ``(n, k)``; itself where there is no other."""
    n = len(vectors)
    if n == 1:
        return np.zeros((1, 1), np.int64)
    k = min(_NEIGHBOURS, n - 1)
    squares = (vectors**2).sum(axis=1)
    found = np.empty((n, k), np.int64)
    for start in range(0, n, block):
        rows = slice(start, min(start + block, n))
        distances = squares - 2 * vectors[rows] @ vectors.T  # but for a constant of each row
        distances[np.arange(rows.stop - start), np.arange(start, rows.stop)] = np.inf
        found[rows] = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return found
