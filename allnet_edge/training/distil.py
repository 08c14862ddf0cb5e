"""Training with a teacher: the model that is trained, and where the teacher's answers come from."""

from dataclasses import dataclass

import keras

from allnet_edge.errors import UsageError
from allnet_edge.spec.network import Preprocess
from allnet_edge.spec.training import Distil, TrainSettings
from allnet_edge.training.augment import RandomSymmetry, augmentation
from allnet_edge.training.distil_answers import symmetries, symmetry_number
from allnet_edge.training.distil_hints import HintError, choose_hints
from allnet_edge.training.distil_loss import DistilLoss, Told
from allnet_edge.training.teacher import LOGITS, FrozenNetwork, Teacher, looked_into


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is trained, and how it is judged.

    Attributes:
        model: From pixels to one row a cell: the student's logits and what `Told` reads.
        loss: Of such a row.
        told: For the accuracy.
    """

    model: keras.Model
    loss: DistilLoss
    told: Told


def lesson(
    network: keras.Model, settings: TrainSettings, distil: Distil, teacher: Teacher
) -> Lesson:
    """Put a student, its augmentation and, where its answers are not stored, its teacher together.

    Raises:
        UnknownNameError, RecipeError: The hints name no maps; see `choose_hints`.
    """
    units, stored = teacher.model.spec.units, symmetries(settings)
    hints = choose_hints(distil, network, teacher.network)
    told = Told(units, hints=len(hints), stored=stored)
    student = looked_into(network, [hint.student for hint in hints])
    side = settings.input_size
    pixels = keras.Input((side, side, 3), name="pixels")
    shown, drawn = _augmented(pixels, settings)
    own = student(shown)
    rows = [own[LOGITS]]
    if not stored:
        frozen = FrozenNetwork(teacher.network, [hint.teacher for hint in hints])
        answers = frozen(shown)
        rows.append(answers[LOGITS])
        for hint in hints:
            theirs = answers[hint.teacher]
            rows.append(HintError(hint, theirs.shape[-1])([own[hint.student], theirs]))
    elif drawn is not None:
        rows.append(drawn)
    row = keras.layers.Concatenate(name="row", dtype="float32")(rows) if rows[1:] else rows[0]
    model = keras.Model(pixels, row, name="student_and_teacher")
    return Lesson(model, DistilLoss(distil, told), told)


def require_same_field(settings: TrainSettings, teacher: Preprocess) -> None:
    """Refuse a teacher that is to be shown the student's pixels but was trained on another crop.

    Raises:
        UsageError: It was.
    """
    if settings.crop == teacher.crop:
        return
    theirs = "the whole image" if teacher.crop is None else f"the central {teacher.crop} pixels"
    raise UsageError(
        f"the teacher knows {theirs}, and is shown what the student sees: another crop",
        fix=f"give --crop {teacher.crop or 0}",
    )


class _NumberedSymmetry(RandomSymmetry):
    """Tells which symmetry it drew, so that the stored answer to it can be looked up."""

    def call(
        self, images: keras.KerasTensor, training: bool = False
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Pixels of the same shape, and the number of their symmetry, float32 [n, 1]."""
        if not training:
            return images, keras.ops.zeros((keras.ops.shape(images)[0], 1))
        turned, draws = self.turned(images)
        return turned, symmetry_number(draws)


def _augmented(
    pixels: keras.KerasTensor, settings: TrainSettings
) -> tuple[keras.KerasTensor, keras.KerasTensor | None]:
    if symmetries(settings) > 1:
        shown, drawn = _NumberedSymmetry(settings.seed)(pixels)
        return shown, drawn
    layer = augmentation(settings)
    return (pixels if layer is None else layer(pixels)), None
