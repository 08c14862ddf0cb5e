"""What is used where the user did not say: which classes are positive, and how data is split."""

from collections.abc import Sequence
from pathlib import Path

from allnet_edge.data.samples import LabelMap, SampleIndex
from allnet_edge.data.split import Split, load_split, make_split
from allnet_edge.errors import DataError

_LEUKEMIA = ("all",)


def choose_labels(index: SampleIndex, positive: Sequence[str] | None) -> LabelMap:
    """The positive class: as told, or ``all`` (leukemia) in a data set of two classes.

    Raises:
        DataError: The classes do not say which is positive.
    """
    if positive is None:
        positive = [label for label in index.labels if label.lower() in _LEUKEMIA]
        if len(index.labels) != 2 or not positive:
            raise DataError(
                f"which classes are positive? this data set has: {', '.join(index.labels)}",
                where=index.root,
                fix="name them, e.g. --positive " + ",".join(index.labels[1:]),
            )
    return LabelMap.binary(index.labels, positive)


def choose_split(index: SampleIndex, path: Path | None, *, seed: int = 0) -> Split:
    """The split of a file, or one that cannot leak: by patient, or by block of capture order.

    Raises:
        SplitError: The file does not fit, or nothing but a leaking random split is possible.
    """
    if path is not None:
        split = load_split(path)
        split.verify(index)
        return split
    by_block = all(sample.patient is None for sample in index.samples)
    return make_split(index, "block" if by_block else "patient", seed=seed)
