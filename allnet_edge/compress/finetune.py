"""Fine-tuning a network that was made smaller towards the answers of the one it came from.

Hinton et al. 2015 (arXiv 1503.02531): what is learned is a mixture of the teacher's probabilities
and the true labels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from allnet_edge.compress.teacher import Teacher
from allnet_edge.compress.turned import LabelledImages, TurnedBatch, TurnedBatches
from allnet_edge.data.batches import ImageBatches, Labels
from allnet_edge.models.towers.api import KerasModel
from allnet_edge.progress import Progress, silent

_AVERAGED = 512  # images for the averages of batch norms


@dataclass(frozen=True, slots=True)
class FineTuning:
    """How long and towards what.

    Attributes:
        epochs: Passes over the training images.
        learning_rate: Of Adam at the start; it falls to zero by a cosine.
        distil: Share of the teacher's probabilities in the target, 0..1; the rest is the label.
        batch_size: Images of a step.
        seed: Of the order and of the symmetries.
    """

    epochs: int
    learning_rate: float
    distil: float
    batch_size: int = 32
    seed: int = 0


@dataclass(frozen=True, slots=True)
class EpochAgreement:
    """One epoch, and the network after it on the validation images.

    Attributes:
        loss: Mean of the epoch's steps.
        agreement: Share of validation images that the teacher calls the same; None without any.
        accuracy: Share that is called as labelled.
        mean_difference: Mean absolute difference of the probabilities.
    """

    epoch: int
    loss: float
    agreement: float | None = None
    accuracy: float | None = None
    mean_difference: float | None = None


class Referee:
    """What a teacher says of the validation images, and who agrees.

    Args:
        teacher: Asked once, here.
        images: None, or an empty source, where there are no validation images.
    """

    def __init__(
        self, teacher: KerasModel, images: LabelledImages | None, batch_size: int = 32
    ) -> None:
        self._images = images if images is not None and len(images.source) else None
        self._size = batch_size
        self._expected = None if self._images is None else self._answers(teacher)

    def judge(self, model: KerasModel) -> dict[str, float]:
        """``agreement``, ``accuracy`` and ``mean_difference``; empty without images.

        A binary network is taken at a probability of one half: the thresholds of a build are
        fitted later, for each candidate.
        """
        if self._images is None or self._expected is None:
            return {}
        found = self._answers(model)
        labels = np.asarray(self._images.labels)
        return {
            "agreement": float((_called(found) == _called(self._expected)).mean()),
            "accuracy": float((_called(found) == labels).mean()),
            "mean_difference": float(np.abs(found - self._expected).mean()),
        }

    def _answers(self, model: KerasModel) -> npt.NDArray[np.float32]:
        images = self._images
        assert images is not None  # noqa: S101  # both callers have looked
        batches = ImageBatches(images.source, images.labels, self._size)
        return np.concatenate(
            [model.predict_on_batch(batch.pixels.astype(np.float32)) for batch in batches]
        )


def fine_tune(
    student: tf_keras.Model,
    teacher: Teacher,
    images: LabelledImages,
    settings: FineTuning,
    *,
    masks: tf_keras.callbacks.Callback | None = None,
    referee: Referee | None = None,
    progress: Progress = silent,
) -> tuple[EpochAgreement, ...]:
    """Fine-tune ``student`` in place; the weights of the last epoch stay.

    Args:
        masks: Told of every batch and epoch, e.g. to keep zeros zero.
        referee: Judges the network after every epoch.
    """
    units = int(student.output.shape[-1])
    steps = math.ceil(len(images.source) / settings.batch_size) * settings.epochs
    student.compile(
        optimizer=tf_keras.optimizers.Adam(
            tf_keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        ),
        loss="binary_crossentropy" if units == 1 else "categorical_crossentropy",
    )
    if masks is not None:
        masks.set_model(student)
        masks.on_train_begin()
    return tuple(
        _epoch(number, student, teacher, images, settings, masks, referee, progress)
        for number in range(1, settings.epochs + 1)
    )


def start(seed: int) -> None:
    """Make what follows in this process the same every time."""
    tf_keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def told(judged: dict[str, float]) -> str:
    """What ``Referee.judge`` found, in words."""
    return (
        f"{judged['agreement']:.1%} of the validation images called as by the float network, "
        f"{judged['accuracy']:.1%} as labelled"
    )


def renewing(images: LabelledImages, settings: FineTuning) -> Iterator[npt.NDArray[np.float32]]:
    """Batches to take the averages of batch norms from, turned as in training."""
    # Pass 0 is none of the epochs.
    turned = TurnedBatches(images, settings.batch_size, (settings.seed, 0), most=_AVERAGED)
    return (batch.pixels for batch in turned)


def _epoch(  # noqa: PLR0917  # the loop's own body
    epoch: int,
    student: tf_keras.Model,
    teacher: Teacher,
    images: LabelledImages,
    settings: FineTuning,
    masks: tf_keras.callbacks.Callback | None,
    referee: Referee | None,
    progress: Progress,
) -> EpochAgreement:
    losses = []
    batches = TurnedBatches(images, settings.batch_size, (settings.seed, epoch))
    for number, batch in enumerate(batches):
        targets = _targets(teacher, batch, settings.distil, student.output.shape[-1])
        if masks is not None:
            masks.on_train_batch_begin(number)
        losses.append(float(student.train_on_batch(batch.pixels, targets)))
        progress(f"fine-tuning epoch {epoch}/{settings.epochs}", number + 1, len(batches))
    if masks is not None:
        masks.on_epoch_end(epoch)
    judged = referee.judge(student) if referee else {}
    if judged:
        progress(f"epoch {epoch}/{settings.epochs}: {told(judged)}", 1, 1)
    return EpochAgreement(epoch, float(np.mean(losses)), **judged)


def _targets(teacher: Teacher, batch: TurnedBatch, distil: float, units: int) -> Labels:
    """What the student is to answer, float32 [b, units]."""
    labels = _one_hot(batch.labels, units)
    # Where nothing is distilled the teacher is not asked.
    return distil * teacher.answers(batch) + (1 - distil) * labels if distil else labels


def _one_hot(labels: Labels, units: int) -> Labels:
    """Targets of the network's shape: [n, 1] for a sigmoid, [n, classes] for a softmax."""
    if units == 1:
        return labels
    return np.eye(units, dtype=np.float32)[labels[:, 0].astype(np.int64)]


def _called(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The class index of each image, int64 [n]."""
    if probabilities.shape[1] == 1:
        return (probabilities[:, 0] >= 0.5).astype(np.int64)
    return np.asarray(probabilities.argmax(axis=1), np.int64)
