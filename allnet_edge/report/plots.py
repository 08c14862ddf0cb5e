"""ROC curves and confusion matrices of the ladder, as inline SVG."""

from collections.abc import Sequence

from allnet_edge.report import wording
from allnet_edge.report.document import Confusion, Rung
from allnet_edge.report.svg import frame, simplified, tag, text, ticks, title

SERIES = 7
"""How many pairs of colour and dash ``style.css`` has; a longer ladder starts over."""

_SIDE = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 44
_WIDE, _HIGH = _SIDE - _LEFT - _RIGHT, _SIDE - _TOP - _BOTTOM


def roc(rungs: Sequence[Rung], key: str, *, corner: float = 1.0) -> str:
    """ROC curves over each other, each with its operating point.

    Args:
        rungs: Those with a curve are drawn; their order gives colour and dash.
        key: Unique in the page.
        corner: Side of the drawn square at the upper left, 1 for the whole plot. The curves of a
            good ladder lie so close together that only the corner tells them apart.
    """
    drawn = [(at, rung) for at, rung in enumerate(rungs) if rung.roc]
    curves = [_curve(rung, corner, f"series s{at % SERIES}") for at, rung in drawn]
    dots = [_operating_point(rung, corner, f"dot s{at % SERIES}") for at, rung in drawn]
    diagonal = tag("line", x1=0, y1=_HIGH, x2=_WIDE, y2=0, class_="guide") if corner == 1 else ""
    # A nested drawing clips by itself; a clip path would need a reference.
    inner = tag(
        "svg", diagonal, *curves, x=_LEFT, y=_TOP, width=_WIDE, height=_HIGH,
    )  # fmt: skip
    return frame(
        key,
        "ROC curves" + ("" if corner == 1 else ", upper left corner enlarged"),
        "Area under the curve. " + "; ".join(f"{rung.id}: {_area(rung)}" for _, rung in drawn),
        _roc_axes(corner),
        inner,
        *reversed(dots),
        viewBox=f"0 0 {_SIDE} {_SIDE}",
        class_="plot",
    )


def _area(rung: Rung) -> str:
    return wording.area(rung.auc.value if rung.auc else None)


def _place(fpr: float, tpr: float, corner: float) -> tuple[float, float]:
    return _WIDE * fpr / corner, _HIGH * (1 - tpr) / corner


def _curve(rung: Rung, corner: float, kind: str) -> str:
    placed = [_place(fpr, tpr, corner) for fpr, tpr in simplified(rung.roc)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    return tag("polyline", title(rung.id), points=line, class_=kind)


def _operating_point(rung: Rung, corner: float, kind: str) -> str:
    matrix = rung.confusion
    if matrix is None or not matrix.fp + matrix.tn or not matrix.tp + matrix.fn:
        return ""
    fpr, tpr = matrix.fp / (matrix.fp + matrix.tn), matrix.tp / (matrix.tp + matrix.fn)
    if fpr > corner or 1 - tpr > corner:
        return ""
    x, y = _place(fpr, tpr, corner)
    where = f"{rung.id}: sensitivity {wording.percent(tpr)}, specificity {wording.percent(1 - fpr)}"
    return tag("circle", title(where), cx=_LEFT + x, cy=_TOP + y, r=4.5, class_=kind)


def _roc_axes(corner: float) -> str:
    parts = []
    for at in ticks(0, corner):
        x, y = _LEFT + _WIDE * at / corner, _TOP + _HIGH * at / corner
        parts += [
            tag("line", x1=x, y1=_TOP, x2=x, y2=_TOP + _HIGH, class_="grid"),
            tag("line", x1=_LEFT, y1=y, x2=_LEFT + _WIDE, y2=y, class_="grid"),
            text(f"{100 * at:.0f}", x, _SIDE - _BOTTOM + 16, "tick", "middle"),
            text(f"{100 * (1 - at):.0f}", _LEFT - 7, y + 4, "tick", "end"),
        ]
    across = text("1 \N{MINUS SIGN} specificity, %", _LEFT + _WIDE / 2, _SIDE - 8, "axis", "middle")
    up = text("sensitivity, %", 0, 0, "axis", "middle")
    turned = tag("g", up, transform=f"translate(12 {_TOP + _HIGH / 2}) rotate(-90)")
    return "".join([*parts, across, turned])


def confusion(matrix: Confusion, negative: str, positive: str, key: str, name: str) -> str:
    """A two by two table of counts with the share of each true class, darker where fuller.

    Args:
        matrix: Counts.
        negative: Name of the negative class.
        positive: Name of the positive class.
        key: Unique in the page.
        name: Of the network, for the title.
    """
    sick, healthy = matrix.tp + matrix.fn, matrix.tn + matrix.fp
    cells = [
        _cell(0, 0, matrix.tp, sick, "found", good=True),
        _cell(1, 0, matrix.fn, sick, "missed", good=False),
        _cell(0, 1, matrix.fp, healthy, "false alarm", good=False),
        _cell(1, 1, matrix.tn, healthy, "cleared", good=True),
    ]
    names = [_short(positive), _short(negative)]
    heads = [
        text("decided", 146, 12, "tick", "middle"),
        *(text(word, 98 + 96 * at, 28, "axis", "middle") for at, word in enumerate(names)),
        *(text(word, 44, 66 + 66 * at, "axis", "end") for at, word in enumerate(names)),
        *(text("true", 44, 80 + 66 * at, "tick", "end") for at in range(2)),
    ]
    return frame(
        key,
        f"Confusion matrix of {name}",
        f"Of {sick} cells of {positive}: {matrix.tp} found, {matrix.fn} missed. "
        f"Of {healthy} cells of {negative}: {matrix.tn} cleared, {matrix.fp} false alarms.",
        *heads,
        *cells,
        viewBox="0 0 244 172",
        class_="plot matrix",
    )


def _cell(column: int, row: int, n: int, total: int, word: str, *, good: bool) -> str:
    x, y = 50 + 96 * column, 36 + 66 * row
    part = n / total if total else 0.0
    fill = tag(
        "rect", x=x, y=y, width=94, height=64, rx=4, class_="agree" if good else "differ",
        fill_opacity=0.08 + 0.34 * part,
    )  # fmt: skip
    return "".join([
        fill,
        text(wording.count(n), x + 47, y + 26, "cell", "middle"),
        text(wording.percent(part) if total else "no cells", x + 47, y + 42, "share", "middle"),
        text(word, x + 47, y + 56, "share", "middle"),
    ])  # fmt: skip


def _short(name: str, most: int = 7) -> str:
    return name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
