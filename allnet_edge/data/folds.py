"""k-fold cross-validation by patient: every patient is tested in exactly one of k splits."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from allnet_edge.data.deal import Deal, Part
from allnet_edge.data.people import deal_people, images_of, in_words, people_of, require_patients
from allnet_edge.data.proof import first
from allnet_edge.data.protocols import ATTEMPTS, without_prelim
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import Fold, Split, load_split, save_split, split_of
from allnet_edge.errors import OutputDirError, SplitError, UsageError

FEWEST = 3  # one pile tests, one validates, one trains

_CANDIDATES = 16
_NAME = re.compile(r"fold-[1-9]\d*\.json")


def make_folds(
    index: SampleIndex, folds: int, seed: int = 0, *, official: bool = True
) -> tuple[Split, ...]:
    """Deal whole people to piles of equal shares of every class; each pile tests once.

    In split number i the people of pile i test, those of pile i + 1 (after the last: the first)
    validate, and the others train. Patients that share a file, or have near-identical images, are
    dealt as one person. Of several dealings the most even one is kept.

    Args:
        index: What to split.
        folds: How many; from 3 up to the number of people of the class that has fewest.
        seed: The same seed makes the same folds.
        official: Leave the preliminary test set of C-NMC out of all parts, and the people who
            stand in it; else it is dealt like the rest.

    Raises:
        SplitError: A patient is unknown, or a class has fewer people than there are folds.
        UsageError: Fewer than 3 folds, or a negative seed.
    """
    if folds < FEWEST:
        raise UsageError(
            f"{folds} folds are too few: one tests, one validates and the others train",
            fix=f"use --folds {FEWEST} or more",
        )
    if seed < 0:
        raise UsageError(f"seed {seed} is negative")
    require_patients(index)
    kept, left_out = without_prelim(index) if official else (list(index.samples), [])
    people = people_of(index)
    counts = images_of(kept, people)
    _enough_people(index, counts, folds)
    pile_of = _most_even(index, counts, folds, seed)
    piles: list[list[Sample]] = [[] for _ in range(folds)]
    for sample in kept:
        piles[pile_of[people[sample.id]]].append(sample)
    who = f"{in_words(kept, len(counts))}, dealt whole and balanced by class"
    if left_out:
        who += f"; {len(left_out):,} images left out for the preliminary test set"
    return tuple(
        split_of(
            _deal(piles, row, who, left_out),
            index,
            protocol="patient",
            seed=seed,
            fractions=((folds - 2) / folds, 1 / folds, 1 / folds),
            fold=Fold(number=row + 1, of=folds),
        )
        for row in range(folds)
    )


def save_folds(splits: Sequence[Split], folder: Path) -> tuple[Path, ...]:
    """Write ``fold-1.json`` ... ``fold-K.json``; folds that the folder held before are replaced.

    The old ones go first: an interrupted writing leaves too few files, never a mixture of two
    dealings.

    Raises:
        OutputDirError: The folder holds something else, or cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
        old = sorted(folder.iterdir())
        for path in old:
            _require_fold(path)
        for path in old:
            path.unlink()
    except OSError as error:
        raise OutputDirError(
            f"cannot write the folds: {error.strerror}",
            where=folder,
            fix="choose a folder whose parent exists and can be written",
        ) from error
    paths = tuple(folder / f"fold-{number}.json" for number in range(1, len(splits) + 1))
    for split, path in zip(splits, paths, strict=True):
        save_split(split, path)
    return paths


def _deal(
    piles: Sequence[Sequence[Sample]],
    row: int,
    who: str,
    left_out: Sequence[tuple[Sample, str]],
) -> Deal:
    following = (row + 1) % len(piles)
    how = (
        f"fold {row + 1} of {len(piles)}: {who}; pile {row + 1} tests, pile {following + 1} "
        "validates, the others train"
    )
    train = [sample for n, pile in enumerate(piles) if n not in (row, following) for sample in pile]
    parts: dict[Part, list[Sample]] = {
        "train": train,
        "validation": list(piles[following]),
        "test": list(piles[row]),
    }
    return Deal(how, parts, list(left_out))


def _enough_people(index: SampleIndex, people: Mapping[str, Counter[str]], folds: int) -> None:
    """Every pile tests once, and a test part needs every class."""
    of_class = {
        label: sorted(name for name, images in people.items() if images[label])
        for label in index.labels
    }
    fewest = min(index.labels, key=lambda label: len(of_class[label]))
    names = of_class[fewest]
    if folds <= len(names):
        return
    fix = f"use --folds {len(names)} or fewer, or add patients of that class"
    if len(names) < FEWEST:
        fix = f"add patients of that class: {FEWEST} folds need {FEWEST}"
    raise SplitError(
        f"{folds} folds are too many: class {fewest} has {len(names)} patients "
        f"({first(names) or 'none'}; those joined by + count as one, since they share images), and "
        "each fold needs one of its own to test on",
        where=index.root,
        fix=fix,
    )


def _most_even(
    index: SampleIndex, people: Mapping[str, Counter[str]], folds: int, seed: int
) -> dict[str, int]:
    """The pile of each person, in the dealing whose shares of the classes differ least.

    Raises:
        SplitError: No dealing gave every pile every class.
    """
    rng = np.random.default_rng(seed)
    best: tuple[float, dict[str, int]] | None = None
    for dealt in _dealings(index, people, folds, rng):
        unevenness = _unevenness(dealt, people, index.labels, folds)
        if best is None or unevenness < best[0]:
            best = (unevenness, dealt)
    if best is None:
        raise SplitError(
            f"no way found to give each of {folds} folds every class: some of the {len(people)} "
            "patients carry several classes",
            where=index.root,
            fix=f"use fewer than {folds} folds, or fold rare classes together",
        )
    return best[1]


def _dealings(
    index: SampleIndex,
    people: Mapping[str, Counter[str]],
    folds: int,
    rng: np.random.Generator,
) -> Iterator[dict[str, int]]:
    found = 0
    for _ in range(ATTEMPTS):
        dealt = deal_people(people, index.labels, [1 / folds] * folds, rng)
        if dealt is not None:
            yield dealt
            found += 1
        if found == _CANDIDATES:
            return


def _unevenness(
    dealt: Mapping[str, int],
    people: Mapping[str, Counter[str]],
    labels: Sequence[str],
    folds: int,
) -> float:
    """How far the piles' shares of the classes are from equal ones: the sum of squares.

    (The largest difference alone would be that of the largest person, whatever the others do.)
    """
    images = np.zeros((folds, len(labels)))
    for name, pile in dealt.items():
        images[pile] += [people[name][label] for label in labels]
    shares = images / images.sum(axis=0)
    return float(((shares - 1 / folds) ** 2).sum())


def _require_fold(path: Path) -> None:
    try:
        ours = bool(_NAME.fullmatch(path.name)) and load_split(path).fold is not None
    except SplitError:
        ours = False
    if not ours:
        raise OutputDirError(
            f"this folder holds something that is no fold ({path.name}); it is left as it is",
            where=path.parent,
            fix="choose an empty folder, or a new one, with -o",
        )
