"""Cells with what one network says about each of them: what every figure is computed from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.errors import DataError
from allnet_edge.measure.metrics import BoolArray, FloatArray, finite

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One class against all others.

    Attributes:
        truth: Cells of the class, bool ``(n,)``, some but not all.
        called: Cells decided to be of the class, bool ``(n,)``.
        scores: Probability of the class, float64 ``(n,)``.
    """

    truth: BoolArray
    called: BoolArray
    scores: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Use ``by_threshold`` for two classes and ``by_argmax`` for more.

    Attributes:
        labels: Position of each cell's class, int64 ``(n,)``; every class occurs.
        scores: Probabilities, float64 ``(n, classes)``, 0..1.
        decisions: Position of the class decided for, int64 ``(n,)``.
        patients: One name a cell, or None where patients are not known.

    Raises:
        DataError: No cell, a class without any, lengths that differ, or scores that are no
            probabilities.
    """

    labels: Ints
    scores: Floats
    decisions: Ints
    patients: tuple[str, ...] | None

    def __post_init__(self) -> None:
        lengths = {len(self.labels), len(self.scores), len(self.decisions)}
        lengths |= {len(self.labels if self.patients is None else self.patients)}
        if len(lengths) != 1:
            raise DataError(f"labels, scores and patients differ in length: {sorted(lengths)}")
        finite(self.scores.ravel())
        if self.scores.size and not (self.scores.min() >= 0 and self.scores.max() <= 1):
            raise DataError(
                f"scores lie in {self.scores.min():.3g}..{self.scores.max():.3g}, not in 0..1",
                fix="a network has to put out probabilities: a sigmoid or a softmax",
            )
        cells = np.bincount(self.labels, minlength=self.classes)
        if cells.size > self.classes or not cells.all():
            raise DataError(
                f"cells of each class: {', '.join(map(str, cells))}; every one of the "
                f"{self.classes} classes needs some",
                fix="add cells of the class that is missing",
            )

    @classmethod
    def by_threshold(
        cls,
        labels: BoolArray,
        scores: FloatArray,
        threshold: float,
        patients: Sequence[str] | None = None,
    ) -> "Scored":
        """Two classes: a cell is positive when its score is at least the threshold.

        Args:
            labels: True for the positive class, bool ``(n,)``.
            scores: Probability of the positive class, float ``(n,)`` or ``(n, 1)``.
            threshold: 0..1.
            patients: One name a cell.
        """
        values = finite(scores)
        return cls(
            labels=np.asarray(labels, np.bool_).reshape(-1).astype(np.int64),
            scores=np.stack([1 - values, values], axis=1),
            decisions=(values >= threshold).astype(np.int64),
            patients=None if patients is None else tuple(patients),
        )

    @classmethod
    def by_argmax(
        cls, labels: Ints, scores: FloatArray, patients: Sequence[str] | None = None
    ) -> "Scored":
        """Several classes: the most probable one is decided for, the first among equals."""
        values = np.asarray(scores, np.float64)
        return cls(
            labels=np.asarray(labels, np.int64).reshape(-1),
            scores=values,
            decisions=values.argmax(axis=1).astype(np.int64),
            patients=None if patients is None else tuple(patients),
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """How many."""
        return int(self.scores.shape[1])

    @property
    def binary(self) -> bool:
        """Whether there are two classes, the second of them positive."""
        return self.classes == 2

    @property
    def right(self) -> BoolArray:
        """Cells whose decision is their class, bool ``(n,)``."""
        return np.asarray(self.labels == self.decisions)

    @property
    def owner(self) -> Ints | None:
        """Number of each cell's patient from 0, int64 ``(n,)``; None where unknown."""
        if self.patients is None:
            return None
        return np.unique(np.array(self.patients), return_inverse=True)[1].astype(np.int64)

    def side(self, position: int) -> Side:
        """The class at ``position`` against the rest."""
        return Side(self.labels == position, self.decisions == position, self.scores[:, position])

    def top_label(self) -> tuple[Floats, BoolArray]:
        """A probability and whether what it was given to is true: what calibration is about.

        Two classes: the probability of the positive one, and whether the cell is positive. More:
        the largest probability, and whether its class is the cell's (Guo et al. 2017).
        """
        if self.binary:
            return self.scores[:, 1], self.labels == 1
        return self.scores.max(axis=1), self.scores.argmax(axis=1) == self.labels

    def confusion(self) -> Ints:
        """Counts int64 ``(classes, classes)``: rows are the truth, columns the decision."""
        k = self.classes
        return np.bincount(self.labels * k + self.decisions, minlength=k * k).reshape(k, k)
