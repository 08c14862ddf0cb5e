"""How ``data split`` shows a split, or several folds."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table

from allnet_edge.data.proof import Member
from allnet_edge.data.split import Split


def split_json(made: Split, output: Path) -> dict[str, object]:
    """A split as plain data, without its members."""
    return {
        "split": str(output),
        "protocol": made.protocol,
        "leaking": made.leaking,
        "why": made.why,
        "seed": made.seed,
        "layout": made.layout,
        "parts": {part: _classes(members) for part, members in made.parts.items()},
        "patients": {
            part: len({member.patient for member in members if member.patient is not None})
            for part, members in made.parts.items()
        },
        "left_out": len(made.left_out),
        "proof": made.proof.model_dump(),
    }


def split_text(made: Split, output: Path) -> RenderableType:
    """A split as a table of its parts."""
    table = _table("part", made)
    for part, members in made.parts.items():
        table.add_row(part, *_row(members, _labels(made)))
    return Group(made.why, table, f"left out: {len(made.left_out):,} images; written: {output}")


def folds_json(made: Sequence[Split], output: Path) -> dict[str, object]:
    """The folds as plain data, each as `split_json` has it."""
    return {
        "output": str(output),
        "protocol": made[0].protocol,
        "leaking": any(split.leaking for split in made),
        "seed": made[0].seed,
        "layout": made[0].layout,
        "folds": [
            split_json(split, output / f"fold-{number}.json")
            for number, split in enumerate(made, 1)
        ],
    }


def folds_text(made: Sequence[Split], output: Path) -> RenderableType:
    """The folds as a table of what each tests; the piles together are all that is dealt."""
    table = _table("fold", made[0])
    for number, split in enumerate(made, 1):
        table.add_row(str(number), *_row(split.parts["test"], _labels(made[0])))
    return Group(
        made[0].why,
        "tested in each fold; the pile of the next fold validates, the others train:",
        table,
        f"left out: {len(made[0].left_out):,} images; written: {output}/fold-1.json ... "
        f"fold-{len(made)}.json",
    )


def _labels(made: Split) -> list[str]:
    return sorted({member.label for members in made.parts.values() for member in members})


def _classes(members: Sequence[Member]) -> dict[str, int]:
    return dict(sorted(Counter(member.label for member in members).items()))


def _table(first: str, made: Split) -> Table:
    table = Table(first)
    for column in (*_labels(made), "images", "patients"):
        table.add_column(column, justify="right")
    return table


def _row(members: Sequence[Member], labels: Sequence[str]) -> list[str]:
    counts = Counter(member.label for member in members)
    patients = {member.patient for member in members}
    known = "unknown" if None in patients else f"{len(patients):,}"
    return [*(f"{counts[label]:,}" for label in labels), f"{len(members):,}", known]
