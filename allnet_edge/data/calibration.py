"""The images that int8 ranges are taken from: of the training part, and of nothing else."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from allnet_edge.artifacts.files import read_json
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import Split
from allnet_edge.errors import DataError, IntegrityError, SplitError


def select(
    split: Split, index: SampleIndex, images: int, seed: int, label_index: Mapping[str, int]
) -> tuple[Sample, ...]:
    """Draw images of the training part, as many of each class of the network, at random by seed.

    Args:
        images: At most so many.
        label_index: For each class name of the data set its class of the network; where the network
            folds several into one, that one gets one share, not several.

    Returns:
        Samples sorted by id; classes with few images give all they have.

    Raises:
        DataError: A class that the network was not trained on.
    """
    groups: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in split.samples("train", index):
        if sample.label not in label_index:
            raise DataError(
                f"the network was not trained on the class {sample.label}",
                where=sample.id,
                fix=f"its classes are: {', '.join(sorted(label_index))}",
            )
        groups[label_index[sample.label]].append(sample)
    rng = np.random.default_rng(seed)
    chosen: list[Sample] = []
    # The smallest class first, so that what it cannot give goes to the others.
    smallest_first = sorted(groups.values(), key=lambda group: (len(group), group[0].id))
    for position, group in enumerate(smallest_first):
        share = (images - len(chosen)) // (len(groups) - position)
        picked = rng.permutation(len(group))[:share]
        chosen.extend(group[i] for i in picked)
    return tuple(sorted(chosen, key=lambda sample: sample.id))


def read_pinned(path: Path, split: Split, index: SampleIndex) -> tuple[Sample, ...]:
    """Read a list that an earlier build wrote (``calibration.json``).

    Raises:
        IntegrityError: Not such a list.
        DataError: An image of it is not in the data set.
        SplitError: An image, or its patient, is in the validation or the test part, or the image
            is in no part.
    """
    raw = read_json(path)
    try:
        hashes = [str(row["sha256"]) for row in raw["images"]]  # type: ignore[index]
    except (KeyError, TypeError) as error:
        raise IntegrityError("this is no calibration list", where=path) from error
    by_hash = {sample.sha256: sample for sample in index.samples}
    missing = [one for one in hashes if one not in by_hash]
    if missing or not hashes:
        raise DataError(
            f"{len(missing)} of {len(hashes)} calibration images are not in the data set",
            where=path,
            fix="use a list made from this data set, or leave 'pinned' out",
        )
    chosen = tuple(sorted({by_hash[one] for one in hashes}, key=lambda sample: sample.id))
    _require_training(chosen, split, index, path)
    return chosen


def _require_training(
    chosen: tuple[Sample, ...], split: Split, index: SampleIndex, path: Path
) -> None:
    for part in ("validation", "test"):
        members = split.samples(part, index)
        files = {member.sha256 for member in members}
        patients = {m.patient for m in members if m.patient is not None and not split.leaking}
        for sample in chosen:
            if sample.sha256 in files or sample.patient in patients:
                raise _refused(f"calibration overlaps the {part} part: {sample.id}", path)
    training = {sample.id for sample in split.samples("train", index)}
    # An embargo between two parts holds images that resemble those of the next part.
    outside = [sample.id for sample in chosen if sample.id not in training]
    if outside:
        raise _refused(f"calibration uses an image of no part: {outside[0]}", path)


def _refused(what: str, path: Path) -> SplitError:
    return SplitError(
        what,
        where=path,
        fix="calibrate on training cells only; leave 'pinned' out to have them drawn",
    )
