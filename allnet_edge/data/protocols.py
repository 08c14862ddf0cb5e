"""How the samples of an index are dealt out to training, validation and test.

Four ways, all deterministic by their seed. None of them puts near-identical images into two parts;
patients with near-identical images are dealt as one person.

- `by_patient`: no patient stands in two parts. Patients are dealt greedily, the largest first with
  some jitter from the seed, each to the part that is furthest from its share of the classes.
- `official_cnmc`: the parts that the C-NMC challenge itself used.
- `by_block`: contiguous runs of the capture order, for sets that tell no patient but whose file
  numbers follow the capture: neighbours mostly come from one patient, so that an embargo of
  numbers is left out at each border.
- `at_random`: stratified by class; leaks patients, and is named so.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from allnet_edge.data.components import components
from allnet_edge.data.importers.cnmc import FOLDS, PRELIM
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.errors import SplitError

PARTS = ("train", "validation", "test")
ATTEMPTS = 64
OFFICIAL_MINIMUM = 2

_OFFICIAL_PART = {
    FOLDS[0]: "train",
    FOLDS[1]: "train",
    FOLDS[2]: "validation",
    PRELIM: "test",
}


@dataclass(slots=True)
class Deal:
    """Who went where, and how that came about.

    Attributes:
        parts: The samples of each of `PARTS`.
        left_out: Samples of no part, with the reason.
        how: One sentence for the reader of the split.
    """

    how: str
    parts: dict[str, list[Sample]] = field(default_factory=lambda: {part: [] for part in PARTS})
    left_out: list[tuple[Sample, str]] = field(default_factory=list)


def by_patient(index: SampleIndex, seed: int, fractions: Sequence[float]) -> Deal:
    """Deal whole patients, so that each part gets its share of every class.

    Raises:
        SplitError: A patient is unknown, or a class has fewer patients than there are parts.
    """
    people = _people(index)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sample in index.samples:
        counts[people[sample.id]][sample.label] += 1
    _enough_people(index, counts)
    rng = np.random.default_rng(seed)
    for _ in range(ATTEMPTS):
        dealt = _deal_greedily(counts, index.labels, fractions, rng)
        if dealt is not None:
            deal = Deal(f"{_how_many(index, len(counts))}, dealt whole and balanced by class")
            for sample in index.samples:
                deal.parts[dealt[people[sample.id]]].append(sample)
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
    if index.layout != "cnmc" or {s.part for s in index.samples} != set(_OFFICIAL_PART):
        return False
    counts = Counter((_OFFICIAL_PART[s.part], s.label) for s in index.samples)
    return all(counts[part, k] >= OFFICIAL_MINIMUM for part in PARTS for k in index.labels)


def official_cnmc(index: SampleIndex) -> Deal:
    """Folds 0 and 1 train, fold 2 validates, the preliminary test set tests.

    Patients that the images prove to be the same person stand in several folds; their images stay
    in the last of these parts only, so that validation and test keep their published extent.

    Raises:
        SplitError: What is left does not hold every class in every part.
    """
    deal = Deal("the challenge's own parts: folds 0-1 train, fold 2 validation, prelim test")
    people = _people(index)
    last: Counter[str] = Counter()
    for sample in index.samples:
        person, rank = people[sample.id], PARTS.index(_OFFICIAL_PART[sample.part])
        last[person] = max(rank, last[person])
    for sample in index.samples:
        part, final = _OFFICIAL_PART[sample.part], PARTS[last[people[sample.id]]]
        if part == final:
            deal.parts[part].append(sample)
        else:
            deal.left_out.append((sample, f"patient {sample.patient} also stands in {final}"))
    _every_class(deal, index, "use the grouped split instead of the official parts")
    return deal


def by_block(index: SampleIndex, seed: int, fractions: Sequence[float], embargo: int) -> Deal:
    """Cut the capture order of each class into three runs, with a gap at each border.

    Two samples of one class in different parts differ by more than ``embargo`` file numbers. The
    seed rotates the order of the parts along the sequence.

    Raises:
        SplitError: The capture order is unknown, or a class is too small for the embargo.
    """
    unknown = [sample.id for sample in index.samples if sample.order is None]
    if unknown:
        raise SplitError(
            f"the capture order of {len(unknown):,} images is unknown (first: {unknown[0]})",
            where=index.root,
            fix="split by patient where patients are known, else at random, which leaks",
        )
    turn = seed % len(PARTS)
    order = [*range(turn, len(PARTS)), *range(turn)]
    names = " - ".join(PARTS[position] for position in order)
    deal = Deal(f"runs of the capture order, {names}, embargo {embargo} numbers at each border")
    for samples in _by_class(index).values():
        ordered = sorted(samples, key=lambda s: (_number(s), s.id))
        _cut(deal, ordered, [fractions[p] for p in order], [PARTS[p] for p in order], embargo)
    _separate_near_copies(deal, index)
    _every_class(deal, index, f"use an embargo below {embargo}, or add images")
    return deal


def at_random(index: SampleIndex, seed: int, fractions: Sequence[float]) -> Deal:
    """Shuffle each class and cut it by the fractions.

    Raises:
        SplitError: A class has fewer images than there are parts.
    """
    deal = Deal("images shuffled within each class")
    rng = np.random.default_rng(seed)
    for label, samples in _by_class(index).items():
        if len(samples) < len(PARTS):
            raise SplitError(
                f"class {label} has {len(samples)} images, fewer than the {len(PARTS)} parts",
                where=index.root,
                fix="add images of that class, or leave it out",
            )
        shuffled = [samples[row] for row in rng.permutation(len(samples))]
        ends = _ends(len(samples), fractions)
        for part, start, end in zip(PARTS, (0, *ends), ends, strict=False):
            deal.parts[part].extend(shuffled[start:end])
    _separate_near_copies(deal, index)
    _every_class(deal, index, "add images of that class, or leave it out")
    return deal


def _by_class(index: SampleIndex) -> dict[str, list[Sample]]:
    grouped: dict[str, list[Sample]] = {label: [] for label in index.labels}
    for sample in index.samples:
        grouped[sample.label].append(sample)
    return grouped


def _people(index: SampleIndex) -> dict[str, str]:
    """Who is seen on each image, by sample id: a patient, or several with near-identical images.

    Raises:
        SplitError: A patient is unknown.
    """
    unknown = [sample.id for sample in index.samples if not sample.patient]
    if unknown:
        raise SplitError(
            f"the patient of {len(unknown):,} images is unknown (first: {unknown[0]})",
            where=index.root,
            fix="split by block where the file numbers follow the capture, name the patients in "
            "patients.csv, or split at random, which leaks",
        )
    patients = {sample.id: sample.patient or "" for sample in index.samples}
    pairs = [(patients[group[0]], patients[i]) for group in index.near_copies for i in group[1:]]
    one_name = {name: "+".join(names) for names in components(pairs) for name in names}
    return {i: one_name.get(patient, patient) for i, patient in patients.items()}


def _how_many(index: SampleIndex, people: int) -> str:
    patients = len({sample.patient for sample in index.samples})
    joined = f" ({people:,} when those with near-identical images count as one)"
    return f"{patients:,} patients{joined if people < patients else ''}"


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


def _separate_near_copies(deal: Deal, index: SampleIndex) -> None:
    """Of near-identical images in several parts keep those of the last: test before validation."""
    part_of = {s.id: part for part in PARTS for s in deal.parts[part]}
    leave: dict[str, str] = {}
    for group in index.near_copies:
        ranks = {name: PARTS.index(part_of[name]) for name in group if name in part_of}
        for name, rank in ranks.items():
            if rank < max(ranks.values()):
                kept = max(ranks, key=lambda other: ranks[other])
                leave[name] = f"near-identical to {kept} in {PARTS[ranks[kept]]}"
    for part, samples in deal.parts.items():
        deal.left_out.extend((s, leave[s.id]) for s in samples if s.id in leave)
        deal.parts[part] = [s for s in samples if s.id not in leave]


def _deal_greedily(
    patients: Mapping[str, Counter[str]],
    labels: Sequence[str],
    fractions: Sequence[float],
    rng: np.random.Generator,
) -> dict[str, str] | None:
    """One attempt; None when a part ends without some class."""
    names = sorted(patients)
    # Shares of each class: patients of a rare class weigh as much as those of a frequent one.
    weight = np.array([[patients[name][label] for label in labels] for name in names], float)
    weight /= weight.sum(axis=0)
    jittered = weight.sum(axis=1) * rng.uniform(0.5, 1.5, len(names))
    missing = np.outer(fractions, np.ones(len(labels)))
    empty = np.ones((len(PARTS), len(labels)), dtype=bool)
    carriers = (weight > 0).sum(axis=0)
    dealt = {}
    for row in np.argsort(-jittered, kind="stable"):
        carried = weight[row] > 0
        # When as many patients of a class are left as parts lack it, only those parts may take.
        forced = carried & (carriers <= empty.sum(axis=0))
        allowed = (empty | ~forced).all(axis=1)
        if not allowed.any():
            return None
        # Between equals, the part that lacks more of all classes together.
        gain = missing @ weight[row] + 1e-6 * missing.sum(axis=1)
        gain = np.where(allowed, gain, -np.inf)
        part = int(np.argmax(gain))
        missing[part] -= weight[row]
        empty[part] &= ~carried
        carriers -= carried
        dealt[names[row]] = PARTS[part]
    return None if empty.any() else dealt


def _ends(n: int, fractions: Sequence[float]) -> list[int]:
    """Where the parts of a sequence of ``n >= 3`` end; each part holds at least one."""
    ends: list[int] = []
    for position, share in enumerate(np.cumsum(fractions)):
        still_to_come = len(fractions) - position - 1
        at_least = ends[-1] + 1 if ends else 1
        ends.append(min(max(round(n * float(share)), at_least), n - still_to_come))
    ends[-1] = n
    return ends


def _cut(
    deal: Deal,
    ordered: Sequence[Sample],
    fractions: Sequence[float],
    names: Sequence[str],
    embargo: int,
) -> None:
    """Deal one class, sorted by capture order, and leave out the embargo.

    Training gives up all of the embargo where it borders on a held-out run, since held-out cells
    are the scarcer; validation and test share it where they meet.
    """
    if len(ordered) < len(PARTS):
        return
    ends = _ends(len(ordered), fractions)
    starts = [0, *ends[:-1]]
    runs = {name: list(ordered[a:b]) for name, a, b in zip(names, starts, ends, strict=True)}
    first, second = (runs[name] for name in names if name != "train")
    middle = (_number(first[-1]) + _number(second[0])) / 2
    held_out: list[Sample] = []
    for name in ("validation", "test"):
        kept = [s for s in runs[name] if abs(_number(s) - middle) > embargo / 2]
        deal.parts[name].extend(kept)
        held_out.extend(kept[:1] + kept[-1:])
    numbers = [_number(sample) for sample in held_out]
    kept = [s for s in runs["train"] if all(abs(_number(s) - n) > embargo for n in numbers)]
    deal.parts["train"].extend(kept)
    dealt = {sample.id for held in deal.parts.values() for sample in held}
    why = f"within the embargo of {embargo} file numbers"
    deal.left_out.extend((s, why) for s in ordered if s.id not in dealt)


def _number(sample: Sample) -> int:
    """Position in the capture order, which `by_block` has made sure is known."""
    return sample.order or 0


def _every_class(deal: Deal, index: SampleIndex, fix: str) -> None:
    for part in PARTS:
        held = {sample.label for sample in deal.parts[part]}
        missing = [label for label in index.labels if label not in held]
        if missing:
            raise SplitError(
                f"no image of class {', '.join(missing)} is left for {part} "
                f"({len(deal.left_out):,} of {len(index.samples):,} images were left out)",
                where=index.root,
                fix=fix,
            )
