"""A split: which sample is for training, validation or test, with the proof that it is clean."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from allnet_edge.artifacts import files
from allnet_edge.data import protocols
from allnet_edge.data.protocols import PARTS, Deal
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.errors import OutputDirError, SplitError, UsageError
from allnet_edge.spec.base import Frozen, known_name

SplitProtocol = Literal["patient", "block", "random"]
Part = Literal["train", "validation", "test"]

FRACTIONS = (0.6, 0.2, 0.2)
EMBARGO = 37

_AGAIN = "make the split again: allnet-edge data split DIR --protocol ... -o split.json"
_SHOWN = 3


class Member(Frozen):
    """One sample of a part; see `Sample`."""

    id: str
    sha256: str
    label: str
    patient: str | None


class LeftOut(Frozen):
    """A sample that no part holds, and why."""

    id: str
    why: str


class Proof(Frozen):
    """What holds between the parts.

    Attributes:
        images_disjoint: No file, by its hash, stands in two parts.
        patients_disjoint: No patient stands in two parts; None where a patient is unknown.
    """

    images_disjoint: bool
    patients_disjoint: bool | None


class Split(Frozen):
    """Which sample belongs to which part; the content of ``split.json``.

    Attributes:
        schema_version: Of this record.
        protocol: How the samples were dealt.
        leaking: Patients, or captures beside each other, may stand on both sides.
        why: How the parts came about, and what that means for figures measured on them.
        seed: Of the dealing.
        fractions: Shares asked for of train, validation and test; the official C-NMC parts and
            an embargo do not follow them exactly.
        layout: Of the data set.
        index_sha256: Identity of the index that was split, `SampleIndex.sha256`.
        parts: The samples of each part, sorted by id.
        left_out: Samples that no part may hold, sorted by id.
        proof: What was checked when the split was made.
    """

    schema_version: Literal[1] = 1
    protocol: SplitProtocol
    leaking: bool
    why: str
    seed: int
    fractions: tuple[float, float, float]
    layout: str
    index_sha256: str
    parts: dict[Part, tuple[Member, ...]]
    left_out: tuple[LeftOut, ...]
    proof: Proof

    def samples(self, part: str, index: SampleIndex) -> tuple[Sample, ...]:
        """The samples of one part, sorted by id.

        Raises:
            UnknownNameError: No part is called so.
            SplitError: A sample is not in the index.
        """
        known_name("part", part, PARTS)
        by_id = {sample.id: sample for sample in index.samples}
        members = [member for name, held in self.parts.items() if name == part for member in held]
        absent = [member.id for member in members if member.id not in by_id]
        if absent:
            raise _absent(absent, index)
        return tuple(by_id[member.id] for member in members)

    @property
    def sha256(self) -> str:
        """Identity of the split: a run's description carries it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def verify(self, index: SampleIndex) -> None:
        """Prove that the split is clean and fits the data set as it is now.

        Patients are those of the index, which may have merged more of them since. A random split
        may share patients: it is named as leaking.

        Raises:
            SplitError: The first thing that does not hold, with the first offenders.
        """
        by_id = {sample.id: sample for sample in index.samples}
        members = [member for held in self.parts.values() for member in held]
        if not any(member.id in by_id for member in members):
            raise SplitError(
                "this split belongs to another data set: none of its images is here",
                where=index.root,
                fix="name the data set that was split, or split this one",
            )
        absent = [member.id for member in members if member.id not in by_id]
        if absent:
            raise _absent(absent, index)
        _unchanged(members, by_id, index)
        _images_disjoint(self.parts)
        if self.protocol != "random":
            _patients_disjoint(self.parts, by_id)


def make_split(
    index: SampleIndex,
    protocol: SplitProtocol,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
    embargo: int = EMBARGO,
    *,
    official: bool = True,
) -> Split:
    """Deal the samples of an index to train, validation and test.

    Args:
        index: What to split.
        protocol: ``patient``: no patient in two parts. ``block``: runs of the capture order with
            an embargo. ``random``: stratified, and leaking.
        seed: The same seed makes the same split.
        fractions: Shares of train, validation and test; positive, with the sum 1.
        embargo: For ``block``: file numbers at each border; 37 is the mean number of captures of
            one patient in Aria's set (3,256 images of 89 patients).
        official: For ``patient`` on a C-NMC set that has all three folds and at least two images
            of each class in the preliminary test set: use the challenge's own parts (folds 0-1,
            fold 2, prelim) instead of dealing patients; `Split.why` says which was done.

    Raises:
        SplitError: The split cannot be made; the message says what is missing.
        UsageError: Fractions, seed or embargo make no sense.
    """
    _sensible(seed, fractions, embargo)
    deal = _deal(index, protocol, seed, fractions, embargo=embargo, official=official)
    parts: dict[Part, tuple[Member, ...]] = {
        "train": _members(deal.parts["train"]),
        "validation": _members(deal.parts["validation"]),
        "test": _members(deal.parts["test"]),
    }
    proof = _prove(parts)
    leaking = protocol == "random" or proof.patients_disjoint is False
    return Split(
        protocol=protocol,
        leaking=leaking,
        why=f"{deal.how}; {_meaning(protocol, proof)}",
        seed=seed,
        fractions=fractions,
        layout=index.layout,
        index_sha256=index.sha256,
        parts=parts,
        left_out=tuple(
            LeftOut(id=sample.id, why=why)
            for sample, why in sorted(deal.left_out, key=lambda row: row[0].id)
        ),
        proof=proof,
    )


def load_split(path: Path) -> Split:
    """Read a split file.

    Raises:
        SplitError: The file cannot be read, is no split, or is one of another version.
    """
    try:
        return Split.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SplitError(f"cannot read the split: {error.strerror}", where=path) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"]) or "file"
        raise SplitError(f"not a split: {key}: {first['msg']}", where=path, fix=_AGAIN) from error


def save_split(split: Split, path: Path) -> None:
    """Write a split file, whole or not at all; an older split of that name is replaced.

    Raises:
        OutputDirError: The path holds something else, or cannot be written.
    """
    if path.exists():
        try:
            load_split(path)
        except SplitError as error:
            raise OutputDirError(
                "this path holds something that is no split; it is left as it is",
                where=path,
                fix="choose another name with -o",
            ) from error
    try:
        files.write_json(path, split.model_dump(mode="json"))
    except OSError as error:
        raise OutputDirError(
            f"cannot write the split: {error.strerror}",
            where=path,
            fix="choose a folder that exists and can be written",
        ) from error


def known_protocol(name: str) -> SplitProtocol:
    """The protocol of that name.

    Raises:
        UnknownNameError: There is none.
    """
    protocols_by_name: dict[str, SplitProtocol] = {
        "patient": "patient",
        "block": "block",
        "random": "random",
    }
    return protocols_by_name[known_name("protocol", name, protocols_by_name)]


def _sensible(seed: int, fractions: Sequence[float], embargo: int) -> None:
    if len(fractions) != len(PARTS) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(
            f"fractions {', '.join(map(str, fractions))} are not three positive shares of 1",
            fix="use for example 0.6, 0.2, 0.2",
        )
    if seed < 0 or embargo < 0:
        raise UsageError(f"seed {seed} or embargo {embargo} is negative")


def _deal(
    index: SampleIndex,
    protocol: SplitProtocol,
    seed: int,
    fractions: Sequence[float],
    *,
    embargo: int,
    official: bool,
) -> Deal:
    if protocol == "block":
        return protocols.by_block(index, seed, fractions, embargo)
    if protocol == "random":
        return protocols.at_random(index, seed, fractions)
    if official and protocols.has_official_parts(index):
        return protocols.official_cnmc(index)
    deal = protocols.by_patient(index, seed, fractions)
    if official and index.layout == "cnmc":
        deal.how += (
            " (not the challenge's own parts, which need all three folds and "
            f"{protocols.OFFICIAL_MINIMUM} usable images of each class in the preliminary test set)"
        )
    return deal


def _meaning(protocol: SplitProtocol, proof: Proof) -> str:
    if protocol == "random":
        return (
            "LEAKING: images of one patient may stand on both sides, so figures measured on this "
            "split are too good"
        )
    if proof.patients_disjoint is None:
        return "patients are unknown, so that a patient on both sides cannot be excluded"
    if not proof.patients_disjoint:
        return "LEAKING: patients stand on both sides"
    return "no patient stands in two parts"


def _members(samples: Iterable[Sample]) -> tuple[Member, ...]:
    return tuple(
        Member(id=s.id, sha256=s.sha256, label=s.label, patient=s.patient)
        for s in sorted(samples, key=lambda s: s.id)
    )


def _shared(keys_of_parts: Iterable[tuple[str, Iterable[str]]]) -> dict[str, list[str]]:
    """The keys that stand in several parts, with these parts."""
    where: defaultdict[str, list[str]] = defaultdict(list)
    for part, keys in keys_of_parts:
        for key in set(keys):
            where[key].append(part)
    return {key: parts for key, parts in sorted(where.items()) if len(parts) > 1}


def _prove(parts: dict[Part, tuple[Member, ...]]) -> Proof:
    images = _shared((part, [m.sha256 for m in held]) for part, held in parts.items())
    patients = [m.patient for held in parts.values() for m in held]
    if None in patients:
        return Proof(images_disjoint=not images, patients_disjoint=None)
    shared = _shared((part, [m.patient or "" for m in held]) for part, held in parts.items())
    return Proof(images_disjoint=not images, patients_disjoint=not shared)


def _first(offenders: Sequence[str]) -> str:
    more = f" and {len(offenders) - _SHOWN:,} more" if len(offenders) > _SHOWN else ""
    return ", ".join(offenders[:_SHOWN]) + more


def _absent(absent: Sequence[str], index: SampleIndex) -> SplitError:
    return SplitError(
        f"{len(absent):,} images of the split are not in the data set: {_first(absent)}",
        where=index.root,
        fix=f"bring them back (a file may have become unusable, or a copy of another), or {_AGAIN}",
    )


def _unchanged(members: Iterable[Member], by_id: dict[str, Sample], index: SampleIndex) -> None:
    changed = [m.id for m in members if m.sha256 != by_id[m.id].sha256]
    if changed:
        raise SplitError(
            f"{len(changed):,} image files changed since the split was made: {_first(changed)}",
            where=index.root,
            fix=f"bring the original files back, or {_AGAIN}",
        )
    relabelled = [m.id for m in members if m.label != by_id[m.id].label]
    if relabelled:
        raise SplitError(
            f"{len(relabelled):,} images have another class than in the split: "
            f"{_first(relabelled)}",
            where=index.root,
            fix=_AGAIN,
        )


def _images_disjoint(parts: dict[Part, tuple[Member, ...]]) -> None:
    shared = _shared((part, [m.sha256 for m in held]) for part, held in parts.items())
    if not shared:
        return
    names = [
        f"{m.id} ({part})"
        for sha256 in shared
        for part, held in parts.items()
        for m in held
        if m.sha256 == sha256
    ]
    raise SplitError(
        f"{len(shared):,} images stand in two parts: {_first(names)}",
        fix=f"a model must not be measured on what it was trained on; {_AGAIN}",
    )


def _patients_disjoint(parts: dict[Part, tuple[Member, ...]], by_id: dict[str, Sample]) -> None:
    known = [
        (part, [p for m in held if (p := by_id[m.id].patient) is not None])
        for part, held in parts.items()
    ]
    shared = _shared(known)
    if shared:
        names = [f"{patient} ({' and '.join(where)})" for patient, where in shared.items()]
        raise SplitError(
            f"{len(shared):,} patients stand in two parts: {_first(names)}",
            fix=f"cells of one patient resemble each other; {_AGAIN}",
        )
