"""The protocol ``block``: contiguous runs of the capture order.

For sets that tell no patient but whose file numbers follow the capture: neighbours mostly come
from one patient, so that an embargo of numbers is left out at each border.
"""

from collections.abc import Sequence

from allnet_edge.data.deal import (
    PARTS,
    Deal,
    Part,
    by_class,
    ends_of_parts,
    require_every_class,
    separate_near_copies,
)
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.errors import SplitError


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
    for samples in by_class(index.samples, index.labels).values():
        ordered = sorted(samples, key=lambda s: (_number(s), s.id))
        _cut(deal, ordered, [fractions[p] for p in order], [PARTS[p] for p in order], embargo)
    separate_near_copies(deal, index)
    require_every_class(deal, index, f"use an embargo below {embargo}, or add images")
    return deal


def _number(sample: Sample) -> int:
    """Position in the capture order, which `by_block` has made sure is known."""
    return sample.order or 0


def _cut(
    deal: Deal,
    ordered: Sequence[Sample],
    fractions: Sequence[float],
    names: Sequence[Part],
    embargo: int,
) -> None:
    """Deal one class, sorted by capture order, and leave out the embargo.

    Training gives up all of the embargo where it borders on a held-out run, since held-out cells
    are the scarcer; validation and test share it where they meet.
    """
    if len(ordered) < len(PARTS):
        return
    ends = ends_of_parts(len(ordered), fractions)
    starts = [0, *ends[:-1]]
    runs = {name: list(ordered[a:b]) for name, a, b in zip(names, starts, ends, strict=True)}
    first, second = (runs[name] for name in names if name != "train")
    middle = (_number(first[-1]) + _number(second[0])) / 2
    held_out: list[Sample] = []
    for name in PARTS[1:]:
        kept = [s for s in runs[name] if abs(_number(s) - middle) > embargo / 2]
        deal.parts[name].extend(kept)
        held_out.extend(kept[:1] + kept[-1:])
    numbers = [_number(sample) for sample in held_out]
    kept = [s for s in runs["train"] if all(abs(_number(s) - n) > embargo for n in numbers)]
    deal.parts["train"].extend(kept)
    dealt = {sample.id for held in deal.parts.values() for sample in held}
    why = f"within the embargo of {embargo} file numbers"
    deal.left_out.extend((s, why) for s in ordered if s.id not in dealt)
