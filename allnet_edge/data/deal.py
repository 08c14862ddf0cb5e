"""What a protocol fills: who went to training, validation and test, and who to none of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.errors import SplitError

Part = Literal["train", "validation", "test"]

PARTS: tuple[Part, Part, Part] = ("train", "validation", "test")


@dataclass(slots=True)
class Deal:
    """Who went where, and how that came about.

    Attributes:
        how: One sentence for the reader of the split.
        parts: The samples of each of `PARTS`.
        left_out: Samples of no part, with the reason.
    """

    how: str
    parts: dict[Part, list[Sample]] = field(default_factory=lambda: {part: [] for part in PARTS})
    left_out: list[tuple[Sample, str]] = field(default_factory=list)


def by_class(samples: Iterable[Sample], labels: Iterable[str]) -> dict[str, list[Sample]]:
    """The samples of each class, in their order; empty where a class has none."""
    grouped: dict[str, list[Sample]] = {label: [] for label in labels}
    for sample in samples:
        grouped[sample.label].append(sample)
    return grouped


def ends_of_parts(n: int, fractions: Sequence[float]) -> list[int]:
    """Where the parts of a sequence of ``n >= 3`` end; each part holds at least one."""
    ends: list[int] = []
    for position, share in enumerate(np.cumsum(fractions)):
        still_to_come = len(fractions) - position - 1
        at_least = ends[-1] + 1 if ends else 1
        ends.append(min(max(round(n * float(share)), at_least), n - still_to_come))
    ends[-1] = n
    return ends


def separate_near_copies(deal: Deal, index: SampleIndex) -> None:
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


def require_every_class(deal: Deal, index: SampleIndex, fix: str) -> None:
    """Refuse a deal that left a part without some class.

    Raises:
        SplitError: Names the part and the classes, with ``fix`` as the advice.
    """
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
