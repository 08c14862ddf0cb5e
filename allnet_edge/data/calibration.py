"""The images that int8 ranges are taken from: of the training part, and of nothing else.

And the validation cells on which the way of taking them is chosen.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge.artifacts.files import read_json
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import Split
from allnet_edge.errors import DataError, IntegrityError, SplitError

FEWEST = 8
"""Calibration images without which nothing is quantized."""


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
    groups = _by_class(split.samples("train", index), label_index)
    rng = np.random.default_rng(seed)
    chosen: list[Sample] = []
    # The smallest class first, so that what it cannot give goes to the others.
    smallest_first = sorted(groups, key=lambda group: (len(group), group[0].id))
    for position, group in enumerate(smallest_first):
        share = (images - len(chosen)) // (len(groups) - position)
        picked = rng.permutation(len(group))[:share]
        chosen.extend(group[i] for i in picked)
    return tuple(sorted(chosen, key=lambda sample: sample.id))


@dataclass(frozen=True, slots=True)
class Halves:
    """Two disjoint halves of a calibration set, each with its share of every class.

    Attributes:
        patients_apart: No patient has images in both: so wherever patients are known, and every
            class has two of them.
    """

    first: tuple[Sample, ...]
    second: tuple[Sample, ...]
    patients_apart: bool


def require_usable(chosen: Iterable[Sample], label_index: Mapping[str, int]) -> None:
    """Refuse a set that says too little of what the network will see.

    Raises:
        DataError: Fewer than 8 images, or images of one class of the network only.
    """
    samples = tuple(chosen)
    if len(samples) < FEWEST:
        raise DataError(
            f"{len(samples)} calibration images are too few, at least {FEWEST} are needed",
            fix="give the training part more images; 500 are a good number",
        )
    classes = {label_index.get(sample.label) for sample in samples}
    if len(classes) < 2:
        raise DataError(
            f"all {len(samples)} calibration images are of the class {samples[0].label}",
            fix="calibrate on images of every class; leave 'pinned' out to have them drawn",
        )


def halves(samples: Iterable[Sample], label_index: Mapping[str, int]) -> Halves:
    """Cut a calibration set in two, to see whether both give the same ranges.

    The images of a patient stay together. The largest patients are dealt first, each to the half
    that has fewer images of the class.
    """
    together: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        together[sample.id if sample.patient is None else f"patient {sample.patient}"].append(
            sample
        )
    groups = _dealable(together.values(), label_index)
    sides: tuple[list[Sample], list[Sample]] = ([], [])
    counts: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
    for group in sorted(groups, key=lambda group: (-len(group), group[0].id)):
        label = label_index[group[0].label]
        side = min((0, 1), key=lambda n: (counts[n][label], counts[n].total(), n))
        sides[side].extend(group)
        counts[side].update(label_index[sample.label] for sample in group)
    first, second = (tuple(sorted(side, key=lambda sample: sample.id)) for side in sides)
    shared = {s.patient for s in first} & {s.patient for s in second} - {None}
    unknown = any(sample.patient is None for sample in (*first, *second))
    return Halves(first, second, patients_apart=not shared and not unknown)


def _dealable(groups: Iterable[list[Sample]], label_index: Mapping[str, int]) -> list[list[Sample]]:
    """Patients, or the single images of a class that has but one patient."""
    known = [sorted(group, key=lambda sample: sample.id) for group in groups]
    patients = Counter(label_index[group[0].label] for group in known)
    found: list[list[Sample]] = []
    for group in known:
        alone = patients[label_index[group[0].label]] == 1
        found.extend([[one] for one in group] if alone else [group])
    return found


def selection_cells(
    split: Split, index: SampleIndex, cells: int, seed: int, label_index: Mapping[str, int]
) -> tuple[Sample, ...]:
    """Draw validation cells to choose on, in an order in which the classes alternate.

    So every beginning of the list is stratified too. The gate's cells, the test part, are not
    looked at.

    Args:
        cells: At most so many; where a class has few, the others fill up.

    Raises:
        DataError: A class that the network was not trained on.
    """
    groups = _by_class(split.samples("validation", index), label_index)
    rng = np.random.default_rng(seed)
    shuffled = [[group[i] for i in rng.permutation(len(group))] for group in groups]
    ranked = [(rank, n) for n, group in enumerate(shuffled) for rank in range(len(group))]
    return tuple(shuffled[n][rank] for rank, n in sorted(ranked)[:cells])


def _by_class(samples: Iterable[Sample], label_index: Mapping[str, int]) -> list[list[Sample]]:
    """By class of the network, in its order."""
    groups: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.label not in label_index:
            raise DataError(
                f"the network was not trained on the class {sample.label}",
                where=sample.id,
                fix=f"its classes are: {', '.join(sorted(label_index))}",
            )
        groups[label_index[sample.label]].append(sample)
    return [groups[number] for number in sorted(groups)]


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
