"""Instructions of one inference: from the counter's marks to a verdict against the known ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from allnet_edge.errors import BenchmarkInvalid

TOLERANCE = 1e-3
# Where its buffers happen to lie moves ONNX Runtime's int8 path by up to 0.25 % (docs/arm.md).
LOOSER = {"onnx-int8": 5e-3}

# instructions and dot_products by board, then by "bundle candidate"
Count = dict[str, int]
Counts = dict[str, dict[str, Count]]


def room(name: str) -> float:
    """How far a count may be from the known one, as a share: of ``[board, bundle] candidate``."""
    return LOOSER.get(name.rpartition(" ")[2], TOLERANCE)


def from_marks(text: str, candidates: Sequence[str], repeats: int) -> dict[str, Count]:
    """What each candidate's inference costs: the smallest of its repeats.

    Args:
        text: One mark a line: instructions and dot products up to there.
        candidates: In the order in which they ran.
        repeats: Pairs of marks of each.

    Raises:
        BenchmarkInvalid: Another number of marks, or most repeats are not near the smallest.
    """
    marks = [tuple(map(int, line.split())) for line in text.splitlines()]
    if len(marks) != 2 * repeats * len(candidates):
        raise BenchmarkInvalid(f"{len(marks)} marks for {len(candidates)} candidates")
    pairs = [
        (after[0] - before[0], after[1] - before[1])
        for before, after in zip(marks[::2], marks[1::2], strict=True)
    ]
    found = {}
    for number, candidate in enumerate(candidates):
        mine = pairs[number * repeats : (number + 1) * repeats]
        mine.sort()
        low, middle = mine[0][0], mine[repeats // 2][0]
        if middle - low > room(candidate) / 2 * low:
            raise BenchmarkInvalid(
                f"{candidate}: {low:,} instructions at best, {middle:,} in the middle of "
                f"{repeats} runs",
                fix="run it again; if it stays, something else runs in between",
            )
        found[candidate] = {"instructions": low, "dot_products": mine[0][1]}
    return found


@dataclass(frozen=True)
class Judged:
    """The counts of this run beside those that are committed.

    Attributes:
        risen: Costs more by more than the tolerance; each names both numbers.
        fallen: Costs less, likewise.
        changed: Candidates that only one of the two has.
    """

    risen: tuple[str, ...]
    fallen: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not (self.risen or self.fallen or self.changed)


def judge(measured: Counts, committed: Counts) -> Judged:
    """Compare every count with the committed one."""
    ours, theirs = _flat(measured), _flat(committed)
    risen, fallen = [], []
    for key in sorted(ours.keys() & theirs.keys()):
        change = ours[key] - theirs[key]
        limit = room(key) * theirs[key]
        told = f"{theirs[key]:,} committed, {ours[key]:,} now ({change / theirs[key]:+.2%})"
        if change > limit:
            risen.append(f"{key}: {told}")
        elif change < -limit:
            fallen.append(f"{key}: {told}")
    only = [f"{key}: not in the committed file" for key in sorted(ours.keys() - theirs.keys())]
    only += [f"{key}: not measured any more" for key in sorted(theirs.keys() - ours.keys())]
    return Judged(tuple(risen), tuple(fallen), tuple(only))


def changed_versions(now: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    """What else is not as it was when the counts were committed."""
    names = sorted(now.keys() | then.keys())
    return [
        f"{name}: {then.get(name, 'none')} then, {now.get(name, 'none')} now"
        for name in names
        if now.get(name) != then.get(name)
    ]


def _flat(counts: Counts) -> dict[str, int]:
    return {
        f"{board}, {name}": count["instructions"]
        for board, rows in counts.items()
        for name, count in rows.items()
    }
