"""The teacher's answers to the training images, computed once and kept beside the run.

Possible where the pixels that a student may see are few: as they are, or in the eight symmetries.
"""

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as dump_arrays

from allnet_edge.artifacts.files import write_bytes
from allnet_edge.data.batches import Batch, ImageBatches, Labels, Weights
from allnet_edge.data.pixels import Indices, Pending, Pixels, PixelSource
from allnet_edge.progress import Progress
from allnet_edge.spec.training import TrainSettings
from allnet_edge.training.teacher import LOGITS, FrozenNetwork, Teacher

FILE = "teacher.safetensors"
Answers = npt.NDArray[np.float32]
"""[n, symmetries, units], logits of each training image in each symmetry."""


def symmetries(settings: TrainSettings) -> int:
    """How many answers to an image there are; 0 where they are computed in the step."""
    if settings.distil is None or settings.distil.hints != "none":
        return 0
    return {"none": 1, "dihedral": 8}.get(settings.augment, 0)


class AnsweredBatches(ImageBatches):
    """Batches whose labels are the class and then the teacher's answers, [b, 1 + answers].

    Args:
        answers: Of each row of the source.
        Others: See `ImageBatches`.
    """

    def __init__(
        self,
        source: PixelSource,
        labels: npt.NDArray[np.int64],
        batch_size: int,
        *,
        order: Indices,
        weights: Weights | None,
        answers: Answers,
    ) -> None:
        super().__init__(source, labels, batch_size, order=order, weights=weights)
        self._answers: Labels = answers.reshape(len(answers), -1)

    def finish(self, number: int, pixels: Pending) -> Batch:
        """See `ImageBatches.finish`."""
        batch = super().finish(number, pixels)
        told = [batch.labels, self._answers[self._rows(number)]]
        return batch._replace(labels=np.concatenate(told, axis=1))


def answers_of(
    teacher: Teacher,
    source: PixelSource,
    count: int,
    *,
    batch_size: int,
    kept: Path,
    identity: str,
    writes: bool,
    progress: Progress,
) -> Answers:
    """Ask the teacher, or take what an earlier start of this run has kept.

    Args:
        source: The training images, of any size.
        count: Symmetries of each.
        kept: File of the answers.
        identity: Of the run; answers of another one are not taken.
        writes: Whether this process keeps them.
    """
    found = _read(kept, identity)
    if found is not None:
        return found
    pixels = keras.Input((source.size, source.size, 3))
    ask = keras.Model(pixels, FrozenNetwork(teacher.network)(pixels)[LOGITS])
    answers = np.empty((len(source), count, teacher.model.spec.units), np.float32)
    batches = ImageBatches(source, np.zeros(len(source), np.int64), batch_size)
    done = 0
    for batch in batches:
        rows = slice(done, done + len(batch.pixels))
        for number in range(count):
            shown = _filled(symmetric(batch.pixels, number), batch_size)
            answers[rows, number] = ask.predict_on_batch(shown)[: len(batch.pixels)]
        done = rows.stop
        progress("answers of the teacher", done, len(source))
    if writes:
        write_bytes(kept, dump_arrays({"answers": answers}, metadata={"identity": identity}))
    return answers


def symmetric(pixels: Pixels, number: int) -> Pixels:
    """[n, side, side, 3] in one of the eight symmetries, numbered as `symmetry_number` does."""
    if number & 1:
        pixels = pixels[:, ::-1]
    if number & 2:
        pixels = pixels[:, :, ::-1]
    return pixels.transpose(0, 2, 1, 3) if number & 4 else pixels


def symmetry_number(draws: keras.KerasTensor) -> keras.KerasTensor:
    """The number 0..7 of what `RandomSymmetry.turned` drew, float32 [n, 1]."""
    bits = keras.ops.cast(draws[..., 0, 0, 0], "float32")
    return bits[:, 0:1] + 2 * bits[:, 1:2] + 4 * bits[:, 2:3]


def _filled(pixels: Pixels, size: int) -> npt.NDArray[np.float32]:
    """A whole batch, so that the last one compiles nothing anew."""
    whole = np.zeros((size, *pixels.shape[1:]), np.float32)
    whole[: len(pixels)] = pixels
    return whole


def _read(path: Path, identity: str) -> Answers | None:
    try:
        with safe_open(path, framework="np") as stored:
            if (stored.metadata() or {}).get("identity") != identity:
                return None
            return np.asarray(stored.get_tensor("answers"), np.float32)
    except (OSError, SafetensorError):
        return None  # none yet, or damaged: the teacher is asked again
