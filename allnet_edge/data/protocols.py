"""How the samples of an index are dealt out to training, validation and test.

All ways are deterministic by their seed; `blocks.by_block` is one more.

- `by_patient`: no patient stands in two parts; whole people are dealt, see `people`.
- `official_cnmc`: the parts that the C-NMC challenge itself used.
- `at_random`: stratified by class; leaks patients, and is named so.
- `as_published`: the random split of the published works; leaks still more, and is named so.

None but the last puts near-identical images into two parts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from allnet_edge.data.deal import (
    PARTS,
    Deal,
    Part,
    by_class,
    ends_of_parts,
    require_every_class,
    separate_near_copies,
)
from allnet_edge.data.importers.cnmc import FOLDS, PRELIM
from allnet_edge.data.people import deal_people, images_of, in_words, people_of, require_patients
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.errors import SplitError

ATTEMPTS = 64
OFFICIAL_MINIMUM = 2

_OFFICIAL_PART: dict[str, Part] = {
    FOLDS[0]: "train",
    FOLDS[1]: "train",
    FOLDS[2]: "validation",
    PRELIM: "test",
}


def by_patient(index: SampleIndex, seed: int, fractions: Sequence[float]) -> Deal:
    """Deal whole people, so that each part gets its share of every class.

    Raises:
        SplitError: A patient is unknown, or a class has fewer patients than there are parts.
    """
    require_patients(index)
    people = people_of(index)
    counts = images_of(index.samples, people)
    _enough_people(index, counts)
    rng = np.random.default_rng(seed)
    for _ in range(ATTEMPTS):
        dealt = deal_people(counts, index.labels, fractions, rng)
        if dealt is not None:
            who = in_words(index.samples, len(counts))
            deal = Deal(f"{who}, dealt whole and balanced by class")
            for sample in index.samples:
                deal.parts[PARTS[dealt[people[sample.id]]]].append(sample)
            return deal
    raise SplitError(
        f"no way found to give each part every class: {len(counts)} patients, of whom some carry "
        f"several classes",
        where=index.root,
        fix="add patients, or fold rare classes together",
    )


def has_official_parts(index: SampleIndex) -> bool:
    """Whether the three C-NMC folds and a preliminary test set fit to test on are all there.

    Fit means `OFFICIAL_MINIMUM` usable images of each class in every part.
    """
    if index.layout != "cnmc" or {part for _, part in _places(index)} != set(_OFFICIAL_PART):
        return False
    rank = _last_ranks(index)
    counts = Counter((PARTS[rank[s.id]], s.label) for s in index.samples)
    return all(counts[part, k] >= OFFICIAL_MINIMUM for part in PARTS for k in index.labels)


def official_cnmc(index: SampleIndex) -> Deal:
    """Folds 0 and 1 train, fold 2 validates, the preliminary test set tests.

    Patients that the images prove to be the same person stand in several folds: UID_20 of fold 0
    and UID_21 of fold 2 share 71 files. All of such a person goes to the last of these parts, so
    that validation and test keep their published extent: an image of which a copy stands in that
    part is taken as that copy, and the others are left out.

    Raises:
        SplitError: What is left does not hold every class in every part.
    """
    deal = Deal("the challenge's own parts: folds 0-1 train, fold 2 validation, prelim test")
    require_patients(index)
    people = people_of(index)
    rank = _last_ranks(index)
    last: Counter[str] = Counter()
    for sample in index.samples:
        person = people[sample.id]
        last[person] = max(rank[sample.id], last[person])
    for sample in index.samples:
        final = PARTS[last[people[sample.id]]]
        if PARTS[rank[sample.id]] == final:
            deal.parts[final].append(sample)
        else:
            deal.left_out.append((sample, f"patient {sample.patient} also stands in {final}"))
    require_every_class(deal, index, "use the grouped split instead of the official parts")
    return deal


def _places(index: SampleIndex) -> list[tuple[str, str]]:
    """Each image with each of the data set's own parts in which it stands, itself or as a copy."""
    return [*((s.id, s.part) for s in index.samples), *index.also_in]


def _last_ranks(index: SampleIndex) -> dict[str, int]:
    """The last of the official parts in which each image stands."""
    rank: Counter[str] = Counter()
    for name, part in _places(index):
        rank[name] = max(rank[name], PARTS.index(_OFFICIAL_PART[part]))
    return rank


def _prelim(index: SampleIndex) -> set[str]:
    return {name for name, part in _places(index) if part == PRELIM}


def without_prelim(index: SampleIndex) -> tuple[list[Sample], list[tuple[Sample, str]]]:
    """The images to deal where the preliminary test set is to stay untouched.

    Returns:
        The images of the training folders, and those left out with the reason: the preliminary
        set, and training images of people who stand in that set too.
    """
    people, prelim = people_of(index), _prelim(index)
    held = {people[name] for name in prelim if name in people}
    kept: list[Sample] = []
    left_out = []
    for sample in index.samples:
        if sample.id in prelim:
            left_out.append((sample, "of the preliminary test set, which stays untouched"))
        elif people.get(sample.id) in held:
            why = f"patient {sample.patient} also stands in the preliminary test set"
            left_out.append((sample, why))
        else:
            kept.append(sample)
    return kept, left_out


def at_random(index: SampleIndex, seed: int, fractions: Sequence[float]) -> Deal:
    """Shuffle each class and cut it by the fractions.

    Raises:
        SplitError: A class has fewer images than there are parts.
    """
    deal = Deal("images shuffled within each class")
    _shuffle(deal, index.samples, index, seed, fractions)
    separate_near_copies(deal, index)
    require_every_class(deal, index, "add images of that class, or leave it out")
    return deal


def as_published(index: SampleIndex, seed: int, fractions: Sequence[float]) -> Deal:
    """The split behind the published scores: images of the training folders at random.

    ALLNet (Mattapalli and Athavale 2021, arXiv 2108.08195) splits the training folders of C-NMC
    per image, 60/20/20; cells of one patient stand on both sides. The preliminary test set is in
    no part.

    OUR READING, where the paper is silent:

    - Stratified by class, so that small sets hold every class in every part. (The paper's own
      parts were not exactly so: its printed matrices hold 1,499 ALL of 2,138 images in validation
      and 1,447 of 2,139 in test, where equal shares would be 1,454 and 1,455.)
    - Byte-identical files are one image, as in every index here, so that no image stands in two
      parts. Near-identical ones are not kept apart: nothing says that the paper looked for them,
      and leaking is what this protocol is there to show.

    Raises:
        SplitError: A class has fewer images than there are parts.
    """
    deal = Deal("the published split: images of the training folders shuffled within each class")
    prelim = _prelim(index)
    why = "of the preliminary test set: the published split took the training folders only"
    deal.left_out = [(s, why) for s in index.samples if s.id in prelim]
    _shuffle(deal, (s for s in index.samples if s.id not in prelim), index, seed, fractions)
    return deal


def _shuffle(
    deal: Deal,
    samples: Iterable[Sample],
    index: SampleIndex,
    seed: int,
    fractions: Sequence[float],
) -> None:
    rng = np.random.default_rng(seed)
    for label, members in by_class(samples, index.labels).items():
        if len(members) < len(PARTS):
            raise SplitError(
                f"class {label} has {len(members)} images, fewer than the {len(PARTS)} parts",
                where=index.root,
                fix="add images of that class, or leave it out",
            )
        shuffled = [members[row] for row in rng.permutation(len(members))]
        ends = ends_of_parts(len(members), fractions)
        for part, start, end in zip(PARTS, (0, *ends), ends, strict=False):
            deal.parts[part].extend(shuffled[start:end])


def _enough_people(index: SampleIndex, people: Mapping[str, Counter[str]]) -> None:
    for label in index.labels:
        names = sorted(name for name, images in people.items() if images[label])
        if len(names) < len(PARTS):
            raise SplitError(
                f"fewer patients than parts: class {label} has {len(names)} "
                f"({', '.join(names)}), and each of {', '.join(PARTS)} needs one",
                where=index.root,
                fix="add patients of that class; names joined by + share an image",
            )
