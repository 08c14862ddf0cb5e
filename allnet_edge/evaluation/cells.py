"""The cells of one part of a split, with the classes that the network knows them by."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge.data.deal import PARTS, Part
from allnet_edge.data.samples import LabelMap, Sample, SampleIndex
from allnet_edge.data.split import Split
from allnet_edge.errors import DataError, UsageError
from allnet_edge.measure.scored import Ints
from allnet_edge.spec.base import known_name

ALL = "all"
"""Name of the part where there is no split: every usable image."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an evaluation may be told.

    Attributes:
        split: A split file; None takes the run's own.
        part: ``train``, ``validation`` or ``test``; None is ``test``, or every image of a bundle
            without a split.
        prevalence: Share of positive cells where the network is to be used; asks for predictive
            values there.
        turns: Rotations of each image; None as the network was trained to be judged, or 1.
        resamples: Of the bootstrap.
        seed: Of its draws.

    Raises:
        UsageError: A prevalence or a number of turns that makes no sense.
        UnknownNameError: No part is called so.
    """

    split: Path | None = None
    part: str | None = None
    prevalence: float | None = None
    turns: int | None = None
    resamples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.part is not None:
            known_name("part", self.part, PARTS)
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise UsageError(
                f"a prevalence of {self.prevalence:g} does not lie between 0 and 1",
                fix="give the share of positive cells where the network is to be used, e.g. 0.1",
            )
        if self.turns is not None and not 1 <= self.turns <= 360:
            raise UsageError(f"{self.turns} rotations are not in 1..360", fix="use for example 8")

    @property
    def wanted(self) -> Part:
        """The part, ``test`` where none was named."""
        return next((part for part in PARTS if part == self.part), "test")

    def require_binary_for_prevalence(self, classes: tuple[str, ...]) -> None:
        """Refuse a prevalence where no class is the positive one; raises UsageError."""
        if self.prevalence is not None and len(classes) != 2:
            raise UsageError(
                f"a prevalence is of one positive class; this network has {len(classes)}",
                fix="leave --prevalence out",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Samples to be judged on.

    Attributes:
        index: The data set.
        split: None where every image is taken.
        part: Its name, or ``ALL``.
        samples: In the order of every array about them.
        labels: The classes.
    """

    index: SampleIndex
    split: Split | None
    part: str
    samples: tuple[Sample, ...]
    labels: LabelMap

    @classmethod
    def of(cls, part: str, index: SampleIndex, split: Split | None, labels: LabelMap) -> "Cells":
        """The cells of a part, or every one of the data set without a split."""
        samples = index.samples if split is None else split.samples(part, index)
        return cls(index, split, part, samples, labels)

    @property
    def truth(self) -> Ints:
        """Position of each cell's class, int64 ``(n,)``."""
        return np.array([self.labels.index[sample.label] for sample in self.samples], np.int64)

    @property
    def patients(self) -> tuple[str, ...] | None:
        """One name a cell, or None where one is unknown."""
        known = tuple(sample.patient for sample in self.samples if sample.patient is not None)
        return known if len(known) == len(self.samples) else None

    @property
    def of_class(self) -> dict[str, int]:
        """Cells of each class of the network."""
        counts = Counter(self.truth.tolist())
        return {name: counts[at] for at, name in enumerate(self.labels.classes)}


def labels_of(classes: tuple[str, ...], index: SampleIndex) -> LabelMap:
    """The classes of a bundle's network for a data set: a bundle does not list what they fold in.

    A class that was folded from several is called by their names joined with ``+``
    (``LabelMap.binary``), so that its name tells.

    Raises:
        DataError: A class of the data set that the network does not know, or one of the network
            that no image of the data set has.
    """
    place = {name: at for at, joined in enumerate(classes) for name in joined.split("+")}
    place |= {name: at for at, name in enumerate(classes)}
    unknown = [name for name in index.labels if name not in place]
    if unknown:
        raise DataError(
            f"the network was not trained on the class {', '.join(unknown)}",
            where=index.root,
            fix=f"its classes are: {', '.join(classes)}",
        )
    found = {name: place[name] for name in index.labels}
    missing = [name for at, name in enumerate(classes) if at not in found.values()]
    if missing:
        raise DataError(
            f"no image of class {', '.join(missing)} in this data set",
            where=index.root,
            fix="judge on a data set that has every class of the network",
        )
    return LabelMap(classes, found)
