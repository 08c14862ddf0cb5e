"""What must hold between the parts of a split, and between a split and its data set."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from allnet_edge.data.deal import Part
from allnet_edge.data.people import people_of
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.errors import SplitError
from allnet_edge.spec.base import Frozen

AGAIN = "make the split again: allnet-edge data split DIR --protocol ... -o split.json"

_SHOWN = 3


class Member(Frozen):
    """One sample of a part; see `Sample`."""

    id: str
    sha256: str
    label: str
    patient: str | None


class Proof(Frozen):
    """What holds between the parts.

    Attributes:
        images_disjoint: No file, by its hash, stands in two parts.
        patients_disjoint: No patient stands in two parts; None where a patient is unknown.
    """

    images_disjoint: bool
    patients_disjoint: bool | None


Parts = Mapping[Part, tuple[Member, ...]]


def prove(parts: Parts) -> Proof:
    """State what holds between parts that were just made."""
    images = _shared((part, [m.sha256 for m in held]) for part, held in parts.items())
    patients = [m.patient for held in parts.values() for m in held]
    if None in patients:
        return Proof(images_disjoint=not images, patients_disjoint=None)
    shared = _shared((part, [m.patient or "" for m in held]) for part, held in parts.items())
    return Proof(images_disjoint=not images, patients_disjoint=not shared)


def require_same_data(parts: Parts, index: SampleIndex) -> None:
    """Refuse a split whose images are not those of the data set, byte for byte.

    Raises:
        SplitError: Another data set; or images that changed, moved, went or have another class.
    """
    members = [member for held in parts.values() for member in held]
    by_hash = {sample.sha256: sample for sample in index.samples}
    if not any(member.sha256 in by_hash for member in members):
        raise SplitError(
            "this split belongs to another data set: none of its images is here",
            where=index.root,
            fix="name the data set that was split, or split this one",
        )
    by_id = {sample.id: sample for sample in index.samples}
    changed = [m.id for m in members if m.id in by_id and m.sha256 != by_id[m.id].sha256]
    if changed:
        raise SplitError(
            f"{len(changed):,} image files changed since the split was made: {first(changed)}",
            where=index.root,
            fix=f"bring the original files back, or {AGAIN}",
        )
    found = {m.id: by_hash[m.sha256] for m in members if m.sha256 in by_hash}
    _same_classes(members, found, index)
    require_present(members, index)


def require_present(members: Iterable[Member], index: SampleIndex) -> None:
    """Refuse images that are not in the data set under their paths.

    Raises:
        SplitError: Names them, and where they are found now.
    """
    ids = {sample.id for sample in index.samples}
    absent = [member for member in members if member.id not in ids]
    if not absent:
        return
    now = {sample.sha256: f" (now {sample.id})" for sample in index.samples}
    moved = all(member.sha256 in now for member in absent)
    bring = "name the folder that was split, or move the files back"
    if not moved:
        bring = "bring them back (a file may have become unusable, or a copy of another)"
    raise SplitError(
        f"{len(absent):,} images of the split are not in the data set: "
        f"{first([m.id + now.get(m.sha256, '') for m in absent])}",
        where=index.root,
        fix=f"{bring}, or {AGAIN}",
    )


def require_once(parts: Parts, left_out: Iterable[str]) -> None:
    """Refuse an image that stands twice: in two parts, in one part, or in one and left out.

    Args:
        left_out: Ids of the images that no part may hold.

    Raises:
        SplitError: With the images and their parts.
    """
    shared = _shared((part, [m.sha256 for m in held]) for part, held in parts.items())
    if shared:
        names = [
            f"{m.id} ({part})"
            for sha256 in shared
            for part, held in parts.items()
            for m in held
            if m.sha256 == sha256
        ]
        raise SplitError(
            f"{len(shared):,} images stand in two parts: {first(names)}",
            fix=f"a model must not be measured on what it was trained on; {AGAIN}",
        )
    out = set(left_out)
    for part, held in parts.items():
        times = Counter(member.sha256 for member in held)
        twice = sorted({m.id for m in held if times[m.sha256] > 1})
        if twice:
            raise SplitError(
                f"{len(twice):,} images stand twice in {part}: {first(twice)}",
                fix=f"an image must count once; {AGAIN}",
            )
        excluded = [member.id for member in held if member.id in out]
        if excluded:
            raise SplitError(
                f"{len(excluded):,} images stand in {part} and among those left out: "
                f"{first(excluded)}",
                fix=AGAIN,
            )


def require_patients_apart(parts: Parts, index: SampleIndex) -> None:
    """Refuse a person, or near-identical images of unknown people, in two parts.

    Who is who, the index tells: it may have merged more patients since the split was made.

    Raises:
        SplitError: With the first of them and their parts.
    """
    people = people_of(index)
    shared = _shared(
        (part, [people[m.id] for m in held if m.id in people]) for part, held in parts.items()
    )
    if shared:
        names = [f"{person} ({' and '.join(where)})" for person, where in shared.items()]
        raise SplitError(
            f"{len(shared):,} patients stand in two parts: {first(names)}",
            fix="cells of one patient resemble each other (names joined by + share images, "
            f"identical or nearly so); {AGAIN}",
        )
    part_of = {m.id: part for part, held in parts.items() for m in held}
    for group in index.near_copies:
        placed = [name for name in group if name in part_of]
        if len({part_of[name] for name in placed}) > 1:
            raise SplitError(
                "near-identical images stand in two parts: "
                f"{first([f'{name} ({part_of[name]})' for name in placed])}",
                fix=f"a model must not be measured on what it was trained on; {AGAIN}",
            )


def first(offenders: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    more = f" and {len(offenders) - _SHOWN:,} more" if len(offenders) > _SHOWN else ""
    return ", ".join(offenders[:_SHOWN]) + more


def _same_classes(
    members: Iterable[Member], found: Mapping[str, Sample], index: SampleIndex
) -> None:
    relabelled = [m for m in members if m.id in found and m.label != found[m.id].label]
    if relabelled:
        names = [f"{m.id} ({m.label}, now {found[m.id].label})" for m in relabelled]
        raise SplitError(
            f"{len(relabelled):,} images have another class than in the split: {first(names)}",
            where=index.root,
            fix=AGAIN,
        )


def _shared(keys_of_parts: Iterable[tuple[str, Iterable[str]]]) -> dict[str, list[str]]:
    """The keys that stand in several parts, with these parts."""
    where: defaultdict[str, list[str]] = defaultdict(list)
    for part, keys in keys_of_parts:
        for key in set(keys):
            where[key].append(part)
    return {key: parts for key, parts in sorted(where.items()) if len(parts) > 1}
