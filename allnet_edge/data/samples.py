"""The one record of an image that everything else passes around."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from allnet_edge.errors import DataError


@dataclass(frozen=True, slots=True)
class Sample:
    """One usable image of a data set.

    Attributes:
        id: Path relative to the data set's root, with ``/``; unique in the data set.
        sha256: Of the file's bytes, lower-case hex.
        label: Class name as the data set has it (a folder name or a file name's suffix).
        patient: Patient, namespaced by class where the data set reuses numbers (``hem:H11``);
            patients that share a file are merged under one name. None where unknown.
        part: Where the data set itself put it (``fold_0``, ``prelim``), else ``all``.
        order: Position in the capture order within its class, where that is known.
        width: Pixels.
        height: Pixels.
    """

    id: str
    sha256: str
    label: str
    patient: str | None
    part: str
    order: int | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SampleIndex:
    """All usable images of one data set, sorted by id.

    Attributes:
        root: The data set's folder.
        layout: ``cnmc``, ``aria``, ``folders`` or ``phantom``.
        samples: One of each set of byte-identical files.
        near_copies: The ids of each group of near-identical images; a split keeps a group on one
            side, and with it the patients of its images.
        also_in: ``(id, part)`` for each other of the data set's own parts in which a byte-identical
            copy of a sample stands.
    """

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    near_copies: tuple[tuple[str, ...], ...] = ()
    also_in: tuple[tuple[str, str], ...] = ()

    def path(self, sample: Sample) -> Path:
        """The sample's file."""
        return self.root / sample.id

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names, sorted."""
        return tuple(sorted({sample.label for sample in self.samples}))

    @property
    def sha256(self) -> str:
        """Identity of the data set: a hash over every id, label, patient and file hash."""
        rows = [(s.id, s.sha256, s.label, s.patient) for s in self.samples]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Folds a data set's class names into the classes of a network.

    Attributes:
        classes: Class names of the network; with two, ``classes[1]`` is the positive one.
        index: For each class name of the data set, its position in ``classes``.
    """

    classes: tuple[str, ...]
    index: dict[str, int]

    @classmethod
    def binary(cls, labels: Iterable[str], positive: Iterable[str]) -> "LabelMap":
        """Two classes: ``positive`` against all other labels.

        Raises:
            DataError: A positive class that the data set does not have, or nothing left over.
        """
        known, wanted = sorted(set(labels)), sorted(set(positive))
        missing = [name for name in wanted if name not in known]
        if missing or not wanted:
            raise DataError(
                f"no class {', '.join(missing) or '(none given)'} in this data set",
                fix=f"name positive classes among: {', '.join(known)}",
            )
        negative = [name for name in known if name not in wanted]
        if not negative:
            raise DataError(
                f"every class is positive ({', '.join(known)})",
                fix="leave at least one class of the data set out of --positive",
            )
        index = {name: int(name in wanted) for name in known}
        return cls(("+".join(negative), "+".join(wanted)), index)

    @classmethod
    def multiclass(cls, labels: Iterable[str]) -> "LabelMap":
        """Each class of the data set is one of the network, in alphabetical order.

        Raises:
            DataError: Fewer than two classes.
        """
        known = tuple(sorted(set(labels)))
        if len(known) < 2:
            raise DataError(
                f"a classifier needs two classes or more, not: {', '.join(known) or 'none'}",
                fix="add images of another class",
            )
        return cls(known, {name: position for position, name in enumerate(known)})

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)
