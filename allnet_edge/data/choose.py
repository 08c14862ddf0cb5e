"""What is used where the user did not say: the classes of the network, and how data is split."""

from collections.abc import Sequence
from pathlib import Path

from allnet_edge.data.samples import LabelMap, SampleIndex
from allnet_edge.data.split import Split, known_protocol, load_split, make_split
from allnet_edge.errors import DataError, UsageError

_LEUKEMIA = ("all",)


def choose_labels(index: SampleIndex, positive: Sequence[str] | None) -> LabelMap:
    """The classes of the network.

    As told; else ``all`` (leukemia) against the other of two classes; else, of three and more,
    each a class of its own.

    Raises:
        DataError: Two classes do not say which is positive, or one told is not there.
    """
    if positive is not None:
        return LabelMap.binary(index.labels, positive)
    if len(index.labels) > 2:
        return LabelMap.multiclass(index.labels)
    found = [label for label in index.labels if label.lower() in _LEUKEMIA]
    if not found:
        raise DataError(
            f"which classes are positive? this data set has: {', '.join(index.labels)}",
            where=index.root,
            fix="name them, e.g. --positive " + ",".join(index.labels[1:]),
        )
    return LabelMap.binary(index.labels, found)


def choose_split(
    index: SampleIndex, path: Path | None, *, protocol: str | None = None, seed: int = 0
) -> Split:
    """The split of a file, or one dealt by a protocol.

    Args:
        path: A split file, which is verified against the index.
        protocol: One that `known_protocol` knows. Where neither is given: one that cannot leak, by
            patient, or by block of the capture order where no patient is known.
        seed: Of the dealing.

    Raises:
        UsageError: Both are given, or no protocol is called so.
        SplitError: The file does not fit, or the data set cannot be split so.
    """
    if path is not None:
        if protocol is not None:
            raise UsageError(
                f"both a split file ({path}) and the protocol '{protocol}' are given",
                fix="give one of them: a split file says how it was dealt",
            )
        split = load_split(path)
        split.verify(index)
        return split
    if protocol is None:
        by_block = all(sample.patient is None for sample in index.samples)
        protocol = "block" if by_block else "patient"
    return make_split(index, known_protocol(protocol), seed=seed)
