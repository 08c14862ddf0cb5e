"""What a network gets right on the validation part, and how far these figures can be trusted."""

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.manifest import DataOrigin
from allnet_edge.measure.intervals import wilson
from allnet_edge.measure.metrics import roc_auc
from allnet_edge.spec.base import Frozen

_TAIL = 0.975  # of each side
_NOTE = (
    "the best of {epochs} epochs on this same part, hence optimistic; intervals: Wilson, two-sided "
    "95 %, cells taken as independent; train does not look at the test part: 'build' judges on it"
)

Scores = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


class ValidationFigures(Frozen):
    """Of the stored weights on the validation part.

    Attributes:
        n: Cells.
        epoch: Whose weights they are, from 1.
        loss: Cross-entropy.
        accuracy: Share of right decisions, 0..1; of two classes at the probability 0.5.
        sensitivity, specificity: Of two classes; None with more, or without a cell of the class.
        intervals: Lower and upper bound of each of these shares, two-sided 95 % (Wilson 1927).
    """

    n: int
    epoch: int
    loss: float
    accuracy: float
    sensitivity: float | None
    specificity: float | None
    intervals: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, scores: Scores, labels: Classes, epoch: int) -> "ValidationFigures":
        """From probabilities float32 ``(n, 1)`` or ``(n, classes)`` and classes int64 ``(n,)``."""
        loss, accuracy, _ = in_short(scores, labels)
        wide = _wide(scores)
        right = wide.argmax(axis=1) == labels
        groups = {"accuracy": right}
        if wide.shape[1] == 2:
            groups |= {"sensitivity": right[labels == 1], "specificity": right[labels == 0]}
        shares = {name: float(group.mean()) for name, group in groups.items() if group.size}
        return cls(
            n=labels.size,
            epoch=epoch,
            loss=loss,
            accuracy=accuracy,
            sensitivity=shares.get("sensitivity"),
            specificity=shares.get("specificity"),
            intervals={
                name: wilson(int(groups[name].sum()), groups[name].size, _TAIL) for name in shares
            },
        )


class RunMetrics(Frozen):
    """``metrics.json`` of a run.

    Attributes:
        data: The cells, and how they were split.
        phantom: The cells are synthetic: these figures say nothing about real ones.
        note: What the reader has to know about the figures.
    """

    validation: ValidationFigures
    data: DataOrigin
    phantom: bool
    note: str

    @classmethod
    def of(cls, figures: ValidationFigures, data: DataOrigin, epochs: int) -> "RunMetrics":
        """The figures of the best of so many epochs."""
        note = _NOTE.format(epochs=epochs)
        return cls(validation=figures, data=data, phantom=data.layout == "phantom", note=note)


def in_short(scores: Scores, labels: Classes) -> tuple[float, float, float]:
    """Cross-entropy, accuracy and weighted F1 from probabilities ``(n, 1)`` or ``(n, classes)``.

    Weighted F1 is the mean over the classes, weighted by their cells: the C-NMC challenge's score.
    """
    wide = _wide(scores)
    chosen = np.clip(wide[np.arange(len(labels)), labels], 1e-7, 1.0)
    called = wide.argmax(axis=1)
    classes = wide.shape[1]
    hits = np.bincount(labels[called == labels], minlength=classes)
    cells = np.bincount(labels, minlength=classes)
    f1 = 2 * hits / np.maximum(cells + np.bincount(called, minlength=classes), 1)
    return (
        float(-np.log(chosen).mean()),
        float((called == labels).mean()),
        float((f1 * cells).sum() / len(labels)),
    )


def auc_of_two(scores: Scores, labels: Classes) -> float | None:
    """Area under the ROC curve from the same, 0..1; None with more than two classes.

    Raises:
        DataError: One class only, or scores that are not finite.
    """
    wide = _wide(scores)
    return roc_auc(labels == 1, wide[:, 1]) if wide.shape[1] == 2 else None


def _wide(scores: Scores) -> Scores:
    """One column a class."""
    return np.concatenate([1 - scores, scores], axis=1) if scores.shape[1] == 1 else scores
