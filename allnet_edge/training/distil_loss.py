"""What a student is told in one step: the class, the teacher's answer, and its maps."""

import keras

from allnet_edge.spec.training import Distil


class DistilLoss(keras.losses.Loss):  # type: ignore[misc]  # keras ships no types
    """See `Distil` for the sum.

    A prediction is one row a cell: the student's logits, then what `Told` says.

    Args:
        settings: Temperature and weights.
        told: How to read a row.
    """

    def __init__(self, settings: Distil, told: "Told") -> None:
        super().__init__(name="distil", dtype="float32")
        self.settings, self.told = settings, told

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """The loss of each cell, float32 [n].

        Args:
            y_true: Float32 [n, 1 + answers]: the class, then the teacher's answers, if they are
                stored.
            y_pred: Float32 [n, columns].
        """
        settings, ops = self.settings, keras.ops
        student = two_or_more(self.told.student(y_pred))
        teacher = two_or_more(self.told.teacher(y_true, y_pred))
        classes = ops.one_hot(ops.cast(y_true[:, 0], "int32"), student.shape[-1])
        hard = -ops.sum(classes * ops.log_softmax(student), axis=-1)
        ours = ops.log_softmax(student / settings.temperature)
        theirs = ops.log_softmax(teacher / settings.temperature)
        soft = ops.sum(ops.exp(theirs) * (theirs - ours), axis=-1)
        # The gradient of the soft targets falls with T^2; the factor gives both the same say.
        loss = (1 - settings.weight) * hard + settings.weight * settings.temperature**2 * soft
        if self.told.hints:
            loss = loss + settings.hint_weight * ops.mean(self.told.hint_errors(y_pred), axis=-1)
        return loss


class Told:
    """Where things stand in a prediction, and in the labels where the answers are stored.

    Args:
        units: Outputs of both networks.
        hints: How many hints there are.
        stored: Answers of the teacher that stand behind the class, one a symmetry; 0: they are
            computed in the step and stand behind the student's logits.
    """

    def __init__(self, units: int, *, hints: int = 0, stored: int = 0) -> None:
        self.units, self.hints, self.stored = units, hints, stored

    def student(self, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Logits [n, units]."""
        return y_pred[:, : self.units]

    def teacher(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Logits [n, units]."""
        if not self.stored:
            return y_pred[:, self.units : 2 * self.units]
        answers = y_true[:, 1:]
        if self.stored == 1:
            return answers
        answers = keras.ops.reshape(answers, (-1, self.stored, self.units))
        drawn = keras.ops.cast(y_pred[:, self.units], "int32")
        return keras.ops.sum(keras.ops.one_hot(drawn, self.stored)[..., None] * answers, axis=1)

    def hint_errors(self, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """[n, hints]."""
        return y_pred[:, 2 * self.units :]

    def accuracy(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Whether the student calls the class of each cell, float32 [n]."""
        called = keras.ops.argmax(two_or_more(self.student(y_pred)), axis=-1)
        return keras.ops.cast(
            keras.ops.equal(called, keras.ops.cast(y_true[:, 0], "int32")), "float32"
        )


def two_or_more(logits: keras.KerasTensor) -> keras.KerasTensor:
    """One logit a class: a sigmoid unit is a softmax over 0 and its logit."""
    if logits.shape[-1] > 1:
        return logits
    return keras.ops.concatenate([keras.ops.zeros_like(logits), logits], axis=-1)
