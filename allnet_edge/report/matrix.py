"""The confusion matrix of several classes, as inline SVG; ``plots.confusion`` is that of two."""

from collections.abc import Sequence

from allnet_edge.report import wording
from allnet_edge.report.svg import frame, tag, text

_CELL_WIDE, _CELL_HIGH, _GAP = 76, 54, 2
_LEFT, _TOP = 92, 34


def confusion_of_classes(
    counts: Sequence[Sequence[int]], classes: Sequence[str], key: str, name: str
) -> str:
    """A square table of counts with the share of each true class, darker where fuller.

    Args:
        counts: Rows are the truth, columns the decision.
        classes: Their names.
        key: Unique in the page.
        name: Of the network, for the title.
    """
    k = len(classes)
    heads = [text("decided", _LEFT + k * _CELL_WIDE / 2, 12, "tick", "middle")]
    cells, told = [], []
    for row, true in enumerate(classes):
        middle = _TOP + _CELL_HIGH * row + _CELL_HIGH / 2
        heads += [
            text(_short(true), _LEFT + _CELL_WIDE * (row + 0.5), 28, "axis", "middle"),
            text(_short(true), _LEFT - 6, middle, "axis", "end"),
            text("true", _LEFT - 6, middle + 14, "tick", "end"),
        ]
        total = sum(counts[row])
        told.append(
            f"Of {total} cells of {true}: "
            + ", ".join(f"{n} decided {classes[at]}" for at, n in enumerate(counts[row]) if n)
        )
        cells += [_cell(row, column, n, total) for column, n in enumerate(counts[row])]
    return frame(
        key,
        f"Confusion matrix of {name}",
        ". ".join(told),
        *heads,
        *cells,
        viewBox=f"0 0 {_LEFT + k * _CELL_WIDE} {_TOP + k * _CELL_HIGH}",
        class_="plot",
    )


def _cell(row: int, column: int, n: int, total: int) -> str:
    x, y = _LEFT + _CELL_WIDE * column, _TOP + _CELL_HIGH * row
    part = n / total if total else 0.0
    right = row == column
    fill = tag(
        "rect", x=x, y=y, width=_CELL_WIDE - _GAP, height=_CELL_HIGH - _GAP, rx=4,
        class_="agree" if right else "differ",
        fill_opacity=0.08 + 0.34 * part if n or right else 0.03,
    )  # fmt: skip
    middle = x + (_CELL_WIDE - _GAP) / 2
    return "".join([
        fill,
        text(wording.count(n), middle, y + 25, "cell", "middle"),
        text(wording.percent(part), middle, y + 42, "share", "middle") if n else "",
    ])  # fmt: skip


def _short(name: str, most: int = 11) -> str:
    return name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
