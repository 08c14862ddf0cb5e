"""Training images in random order, each in one of its eight symmetries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from allnet_edge.data.batches import ImageBatches, Labels, shuffled
from allnet_edge.data.pixels import Indices, PixelSource

SYMMETRIES = 8


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images and the class index of each.

    Attributes:
        source: Left open by whoever reads it.
        labels: As many as the source has rows.
    """

    source: PixelSource
    labels: Sequence[int]


class TurnedBatch(NamedTuple):
    """One batch.

    Attributes:
        rows: int64 [b], which images these are.
        symmetries: int64 [b], 0..7, how each is turned.
        pixels: float32 [b, size, size, 3] in 0..255.
        labels: float32 [b, 1], class indices.
    """

    rows: Indices
    symmetries: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.float32]
    labels: Labels


class TurnedBatches:
    """One pass over the images: cells have no up and no left.

    In memory, not in a layer as in training: tfmot clones the network layer by layer. All is fixed
    by the seed.

    Args:
        seed: (run seed, pass).
        most: Images at most; None for all.
    """

    def __init__(
        self,
        images: LabelledImages,
        batch_size: int,
        seed: tuple[int, int],
        most: int | None = None,
    ) -> None:
        self._order = shuffled(len(images.source), seed)[:most]
        self._batches = ImageBatches(images.source, images.labels, batch_size, order=self._order)
        self._size, self._seed = batch_size, seed

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._batches)

    def __iter__(self) -> Iterator[TurnedBatch]:
        """All batches in their order; raises what ``ImageBatches`` does."""
        for number, batch in enumerate(self._batches):
            rows = self._order[number * self._size :][: len(batch.labels)]
            drawn = np.random.default_rng((*self._seed, number)).integers(
                SYMMETRIES, size=len(rows)
            )
            pixels = [
                _turn(image, int(how)) for image, how in zip(batch.pixels, drawn, strict=True)
            ]
            yield TurnedBatch(rows, drawn, np.stack(pixels).astype(np.float32), batch.labels)


def _turn(image: npt.NDArray[np.uint8], how: int) -> npt.NDArray[np.uint8]:
    """One of the eight symmetries of the square: a quarter turn 0..3 times, 4..7 mirrored too."""
    turned = np.rot90(image, how % 4)
    return turned[:, ::-1] if how >= SYMMETRIES // 2 else turned
