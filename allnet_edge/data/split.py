"""A split: which sample is for training, validation or test, with the proof that it is clean."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import (
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from allnet_edge.artifacts import files
from allnet_edge.data import proof, protocols
from allnet_edge.data.blocks import by_block
from allnet_edge.data.deal import PARTS, Deal, Part
from allnet_edge.data.proof import AGAIN, Member, Proof
from allnet_edge.data.samples import LabelMap, Sample, SampleIndex
from allnet_edge.errors import OutputDirError, SplitError, UsageError
from allnet_edge.spec.base import Frozen, known_name

SplitProtocol = Literal["patient", "block", "random", "paper"]

FRACTIONS = (0.6, 0.2, 0.2)
EMBARGO = 37
LEAKING: tuple[SplitProtocol, ...] = ("random", "paper")

_VERSION: Literal[1] = 1


class LeftOut(Frozen):
    """A sample that no part holds, and why."""

    id: str
    why: str


class Fold(Frozen):
    """Which of the splits of one k-fold dealing this is.

    Attributes:
        number: From 1.
        of: How many there are.
    """

    number: int
    of: int


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
        fold: Where it is one of several by `folds.make_folds`. Not written where it is None, so
            that splits made before there were folds keep their hash.
    """

    schema_version: Literal[1] = _VERSION
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
    fold: Fold | None = None

    @field_validator("parts")
    @classmethod
    def _all_parts(cls, parts: dict[Part, tuple[Member, ...]]) -> dict[Part, tuple[Member, ...]]:
        missing = [part for part in PARTS if part not in parts]
        if missing:
            raise ValueError(f"no part {', '.join(missing)}")
        return parts

    @model_serializer(mode="wrap")
    def _without_empty_fold(self, plain: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields: dict[str, object] = plain(self)
        return fields if self.fold else {k: v for k, v in fields.items() if k != "fold"}

    def samples(self, part: str, index: SampleIndex) -> tuple[Sample, ...]:
        """The samples of one part, sorted by id.

        Raises:
            UnknownNameError: No part is called so.
            SplitError: A sample is not in the index.
        """
        known_name("part", part, PARTS)
        members = [member for name, held in self.parts.items() if name == part for member in held]
        proof.require_present(members, index)
        by_id = {sample.id: sample for sample in index.samples}
        return tuple(by_id[member.id] for member in members)

    @property
    def sha256(self) -> str:
        """Identity of the split: a run's description carries it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def verify(self, index: SampleIndex) -> None:
        """Prove that the split is clean and fits the data set as it is now.

        Patients are those of the index, which may have merged more of them since. A random split,
        the published one among them, may share patients: it is named as leaking.

        Raises:
            SplitError: The first thing that does not hold, with the first offenders.
        """
        proof.require_same_data(self.parts, index)
        proof.require_once(self.parts, (one.id for one in self.left_out))
        if self.protocol not in LEAKING:
            proof.require_patients_apart(self.parts, index)
        elif not self.leaking:
            raise SplitError(
                f"the file says that this '{self.protocol}' split does not leak: it does", fix=AGAIN
            )


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
            an embargo. ``random``: stratified, and leaking. ``paper``: the random split of the
            published works, see `protocols.as_published`; leaking.
        seed: The same seed makes the same split.
        fractions: Shares of train, validation and test; positive, with the sum 1. ``paper`` knows
            only its own.
        embargo: For ``block``: file numbers at each border; 37 is the mean number of captures of
            one patient in Aria's set (3,256 images of 89 patients).
        official: For ``patient`` on a C-NMC set that has all three folds and at least two images
            of each class in the preliminary test set: use the challenge's own parts (folds 0-1,
            fold 2, prelim) instead of dealing patients; `Split.why` says which was done.

    Raises:
        SplitError: The split cannot be made; the message says what is missing.
        UsageError: Fractions, seed or embargo make no sense.
    """
    _sensible(protocol, seed, fractions, embargo)
    deal = _deal(index, protocol, seed, fractions, embargo=embargo, official=official)
    return split_of(deal, index, protocol=protocol, seed=seed, fractions=fractions)


def split_of(
    deal: Deal,
    index: SampleIndex,
    *,
    protocol: SplitProtocol,
    seed: int,
    fractions: tuple[float, float, float],
    fold: Fold | None = None,
) -> Split:
    """Record a deal, with the proof of what holds between its parts."""
    parts = {part: _members(held) for part, held in deal.parts.items()}
    proven = proof.prove(parts)
    left_out = sorted((sample.id, why) for sample, why in deal.left_out)
    return Split(
        protocol=protocol,
        leaking=protocol in LEAKING or proven.patients_disjoint is False,
        why=f"{deal.how}; {_meaning(protocol, proven)}",
        seed=seed,
        fractions=fractions,
        layout=index.layout,
        index_sha256=index.sha256,
        parts=parts,
        left_out=tuple(LeftOut(id=name, why=why) for name, why in left_out),
        proof=proven,
        fold=fold,
    )


def load_split(path: Path) -> Split:
    """Read a split file.

    Raises:
        SplitError: The file cannot be read, is no split, or is one of another version.
    """
    try:
        data = path.read_bytes()
        return Split.model_validate_json(data)
    except OSError as error:
        raise SplitError(f"cannot read the split: {error.strerror}", where=path) from error
    except ValidationError as error:
        raise _no_split(data, error, path) from error


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
        "paper": "paper",
    }
    return protocols_by_name[known_name("protocol", name, protocols_by_name)]


def require_classes(split: Split, labels: LabelMap, parts: Iterable[Part] = PARTS) -> None:
    """Refuse a split that cannot train or judge a network: a class has no image in some part.

    Args:
        split: Of the data set that ``labels`` was made for.
        labels: Classes of the network; those of the data set that it folds into one count as one.
        parts: Which parts to look at.

    Raises:
        SplitError: Names the part and the classes that it lacks or that the network does not know.
    """
    for part in parts:
        held = {member.label for member in split.parts[part]}
        unknown = sorted(held - set(labels.index))
        if unknown:
            raise SplitError(
                f"{part} holds images of class {', '.join(unknown)}, which the network lacks",
                fix=f"its classes are: {', '.join(sorted(labels.index))}",
            )
        there = {labels.index[label] for label in held}
        missing = [name for row, name in enumerate(labels.classes) if row not in there]
        if missing:
            raise SplitError(
                f"{part} holds no image of class {', '.join(missing)}",
                fix=f"every part needs every class; {AGAIN}",
            )


def _sensible(protocol: SplitProtocol, seed: int, fractions: Sequence[float], embargo: int) -> None:
    if len(fractions) != len(PARTS) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(
            f"fractions {', '.join(map(str, fractions))} are not three positive shares of 1",
            fix="use for example 0.6, 0.2, 0.2",
        )
    if protocol == "paper" and tuple(fractions) != FRACTIONS:
        raise UsageError(
            f"fractions {', '.join(map(str, fractions))}: the published split is "
            f"{', '.join(map(str, FRACTIONS))}",
            fix="leave the fractions out, or use the protocol 'random'",
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
        return by_block(index, seed, fractions, embargo)
    if protocol == "random":
        return protocols.at_random(index, seed, fractions)
    if protocol == "paper":
        return protocols.as_published(index, seed, fractions)
    if official and protocols.has_official_parts(index):
        return protocols.official_cnmc(index)
    deal = protocols.by_patient(index, seed, fractions)
    if official and index.layout == "cnmc":
        deal.how += (
            " (not the challenge's own parts, which need all three folds and "
            f"{protocols.OFFICIAL_MINIMUM} usable images of each class in the preliminary test set)"
        )
    return deal


def _meaning(protocol: SplitProtocol, proven: Proof) -> str:
    if protocol in LEAKING:
        return (
            "LEAKING: images of one patient may stand on both sides, so figures measured on this "
            "split are too good"
        )
    if proven.patients_disjoint is None:
        return "patients are unknown, so that a patient on both sides cannot be excluded"
    if not proven.patients_disjoint:
        return "LEAKING: patients stand on both sides"
    return "no patient stands in two parts"


def _members(samples: Iterable[Sample]) -> tuple[Member, ...]:
    return tuple(
        Member(id=s.id, sha256=s.sha256, label=s.label, patient=s.patient)
        for s in sorted(samples, key=lambda s: s.id)
    )


def _no_split(data: bytes, error: ValidationError, path: Path) -> SplitError:
    try:
        version = json.loads(data)["schema_version"]
    except (ValueError, TypeError, KeyError):
        version = _VERSION
    if version != _VERSION:
        return SplitError(
            f"a split of version {version}: this program reads version {_VERSION}",
            where=path,
            fix=f"use the allnet-edge that wrote it, or {AGAIN}",
        )
    problem = error.errors()[0]
    key = ".".join(str(step) for step in problem["loc"]) or "file"
    return SplitError(f"not a split: {key}: {problem['msg']}", where=path, fix=AGAIN)
