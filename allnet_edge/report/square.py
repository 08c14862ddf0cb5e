"""Plots whose both axes run from 0 to 1: ROC, precision and recall, reliability."""

from collections.abc import Sequence
from dataclasses import dataclass

from allnet_edge.measure.reliability import ReliabilityBin
from allnet_edge.report import wording
from allnet_edge.report.svg import frame, simplified, tag, text, ticks, title

_SIDE = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 44
_WIDE, _HIGH = _SIDE - _LEFT - _RIGHT, _SIDE - _TOP - _BOTTOM
_LARGEST = 11.0  # radius of the fullest bin

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Series:
    """One line with an operating point.

    Attributes:
        name: Shown on hovering, and in the description with ``told``.
        told: Its figure, in words.
        points: (across, up), 0..1.
        at: Where the decision stands, if anywhere on the line.
        style: Number of its colour and dash in ``style.css``.
    """

    name: str
    told: str
    points: Points
    at: tuple[float, float] | None
    style: int


def roc(series: Sequence[Series], key: str) -> str:
    """ROC curves over each other: 1 - specificity across, sensitivity up."""
    guide = tag("line", x1=0, y1=_HIGH, x2=_WIDE, y2=0, class_="guide")
    across, up = "1 \N{MINUS SIGN} specificity, %", "sensitivity, %"
    return _lines(series, key, "ROC curves", (across, up), guide)


def precision_recall(series: Sequence[Series], key: str, base: Sequence[float]) -> str:
    """Precision-recall curves, in steps; a guide for each share of cells, which chance reaches.

    Args:
        series: Curves.
        key: Unique in the page.
        base: Shares of cells of the classes drawn.
    """
    guides = "".join(
        tag("line", title(f"chance: {wording.percent(share)}"), x1=0, x2=_WIDE,
            y1=_HIGH * (1 - share), y2=_HIGH * (1 - share), class_="guide")
        for share in base
    )  # fmt: skip
    stepped = [Series(one.name, one.told, _steps(one.points), one.at, one.style) for one in series]
    return _lines(stepped, key, "Precision and recall", ("recall, %", "precision, %"), guides)


def reliability(bins: Sequence[ReliabilityBin], key: str, across: str, up: str) -> str:
    """What was said against what was true: a disc a bin, its area by the number of cells.

    Args:
        bins: From low to high.
        key: Unique in the page.
        across: What was said, for the axis.
        up: What was true, for the axis.
    """
    most = max(one.n for one in bins)
    told = "; ".join(
        f"{wording.percent(one.probability)} said, {wording.percent(one.share)} true, n {one.n}"
        for one in bins
    )
    drawn = [_bin(one, most) for one in sorted(bins, key=lambda one: -one.n)]
    inner = tag("svg", tag("line", x1=0, y1=_HIGH, x2=_WIDE, y2=0, class_="guide"),
                x=_LEFT, y=_TOP, width=_WIDE, height=_HIGH)  # fmt: skip
    return frame(
        key, "Reliability", f"Bins of equal width. {told}", _axes(across, up), inner, *drawn,
        viewBox=f"0 0 {_SIDE} {_SIDE}", class_="plot",
    )  # fmt: skip


def _bin(one: ReliabilityBin, most: int) -> str:
    """A disc with the interval of its share."""
    x, y = _place(one.probability, one.share)
    ends = (_place(one.probability, share)[1] for share in (one.share_lower, one.share_upper))
    low, high = (_TOP + end for end in ends)
    hover = title(
        f"{one.n} cells in {one.lower:.2f}\N{EN DASH}{one.upper:.2f}: said "
        f"{wording.percent(one.probability)}, true {wording.percent(one.share)} "
        f"({wording.percent(one.share_lower)} to {wording.percent(one.share_upper)})"
    )
    radius = max(2.5, _LARGEST * (one.n / most) ** 0.5)
    line = tag("line", x1=_LEFT + x, x2=_LEFT + x, y1=low, y2=high, class_="spread")
    return line + tag("circle", hover, cx=_LEFT + x, cy=_TOP + y, r=radius, class_="bin")


def _lines(
    series: Sequence[Series], key: str, name: str, labels: tuple[str, str], guides: str
) -> str:
    curves = [
        tag("polyline", title(one.name), class_=f"series s{one.style}", points=" ".join(
            f"{x:.1f},{y:.1f}" for x, y in (_place(*point) for point in simplified(one.points))
        ))
        for one in series
    ]  # fmt: skip
    dots = []
    for one in series:
        if one.at is not None:
            x, y = _place(*one.at)
            dots.append(tag("circle", title(f"{one.name}: where it decides"), cx=_LEFT + x,
                            cy=_TOP + y, r=4.5, class_=f"dot s{one.style}"))  # fmt: skip
    # A nested drawing clips by itself; a clip path would need a reference.
    inner = tag("svg", guides, *reversed(curves), x=_LEFT, y=_TOP, width=_WIDE, height=_HIGH)
    return frame(
        key, name, "; ".join(f"{one.name}: {one.told}" for one in series), _axes(*labels), inner,
        *reversed(dots), viewBox=f"0 0 {_SIDE} {_SIDE}", class_="plot",
    )  # fmt: skip


def _place(across: float, up: float) -> tuple[float, float]:
    return _WIDE * across, _HIGH * (1 - up)


def _steps(points: Points) -> list[tuple[float, float]]:
    """A line that keeps its height until the next point: average precision is the area below."""
    drawn = [points[0]]
    for x, y in points[1:]:
        drawn += [(drawn[-1][0], y), (x, y)]
    return drawn[1:]


def _axes(across: str, up: str) -> str:
    parts = []
    for at in ticks(0, 1):
        x, y = _LEFT + _WIDE * at, _TOP + _HIGH * (1 - at)
        parts += [
            tag("line", x1=x, y1=_TOP, x2=x, y2=_TOP + _HIGH, class_="grid"),
            tag("line", x1=_LEFT, y1=y, x2=_LEFT + _WIDE, y2=y, class_="grid"),
            text(f"{100 * at:.0f}", x, _SIDE - _BOTTOM + 16, "tick", "middle"),
            text(f"{100 * at:.0f}", _LEFT - 7, y + 4, "tick", "end"),
        ]
    below = text(across, _LEFT + _WIDE / 2, _SIDE - 8, "axis", "middle")
    beside = text(up, 0, 0, "axis", "middle")
    turned = tag("g", beside, transform=f"translate(12 {_TOP + _HIGH / 2}) rotate(-90)")
    return "".join([*parts, below, turned])
