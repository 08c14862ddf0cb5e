"""The plot of a search: how fast, how much was lost, how large, one mark a candidate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from allnet_edge.report import pareto_words, wording
from allnet_edge.report.pareto_document import OptimizeDocument, ParetoRow, RankBy
from allnet_edge.report.svg import frame, tag, text, ticks, title

_WIDE, _HIGH = 360, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 16, 24, 44
_ACROSS, _UP = _WIDE - _LEFT - _RIGHT, _HIGH - _TOP - _BOTTOM
_LARGEST, _SMALLEST = 13.0, 3.0  # radius of the largest file, and the least that can be seen
_REACH = 4  # how many limits of loss are drawn; one ruined network must not flatten the rest
_AXIS = MappingProxyType[RankBy, str](
    {
        "host": "milliseconds a cell on this host",
        "estimate": "milliseconds a cell on the target: estimate",
    }
)
_LINE = 11.0  # height of a number beside a mark


@dataclass(frozen=True, slots=True)
class _Scale:
    """Milliseconds across, logarithmic; loss up, from 0 to ``most``."""

    low: float
    high: float
    most: float

    def x(self, ms: float) -> float:
        share = math.log(ms / self.low) / math.log(self.high / self.low)
        return _LEFT + _ACROSS * share

    def y(self, drop: float) -> float:
        return _TOP + _UP * (1 - min(drop, self.most) / self.most)


@dataclass(frozen=True, slots=True)
class _Mark:
    row: ParetoRow
    ms: float
    x: float
    y: float
    radius: float


def pareto(document: OptimizeDocument, key: str) -> str:
    """The plot; candidates without latency or loss are in the table only.

    Args:
        document: Of the search.
        key: Unique in the page.
    """
    by = document.settings.rank_by
    timed = [(row, row.ranked_ms(by)) for row in document.rows]
    rows = [(row, ms) for row, ms in timed if ms is not None and row.drop is not None]
    if not rows:
        return ""
    scale = _scale(rows, document)
    marks = _marks(rows, scale)
    told = "; ".join(f"{_told(mark)}, {pareto_words.STATUS[mark.row.status]}" for mark in marks)
    return frame(
        key,
        "Loss against latency of every candidate",
        told,
        _ground(document, scale),
        _front(marks),
        # The large ones first, so that none covers a smaller one.
        *(_drawn(mark) for mark in sorted(marks, key=lambda mark: -mark.radius)),
        _numbers(marks),
        viewBox=f"0 0 {_WIDE} {_HIGH}",
        class_="plot pareto",
    )


def _scale(rows: Sequence[tuple[ParetoRow, float]], document: OptimizeDocument) -> _Scale:
    times = [ms for _, ms in rows]
    low, high = min(times), max(times)
    budget = document.settings.budget_ms
    if budget <= 4 * high:  # a budget far away would leave the plot empty
        low, high = min(low, budget), max(high, budget)
    room = max((high / low) ** 0.08, 1.15)
    limit = max([0.005, *document.limits.values()])
    worst = max(row.drop or 0.0 for row, _ in rows)
    return _Scale(low / room, high * room, max(1.5 * limit, min(1.1 * worst, _REACH * limit)))


def _marks(rows: Sequence[tuple[ParetoRow, float]], scale: _Scale) -> list[_Mark]:
    largest = max(row.size or 0 for row, _ in rows) or 1
    return [
        _Mark(
            row,
            ms,
            scale.x(ms),
            scale.y(row.drop or 0.0),
            max(_SMALLEST, _LARGEST * math.sqrt((row.size or 0) / largest)),
        )
        for row, ms in rows
    ]


def _ground(document: OptimizeDocument, scale: _Scale) -> str:
    """Axes, the zone of too much loss, the line of acceptance and the budget."""
    right, bottom = _LEFT + _ACROSS, _TOP + _UP
    limits = sorted(set(document.limits.values()))
    lost = scale.y(limits[-1])
    parts = [
        tag("rect", x=_LEFT, y=_TOP, width=_ACROSS, height=max(lost - _TOP, 0), class_="lost"),
        *_up_axis(scale),
        *_across_axis(scale),
        text(_AXIS[document.settings.rank_by], _LEFT + _ACROSS / 2, _HIGH - 8, "axis", "middle"),
    ]
    beside = text("larger drop of sensitivity, specificity, pp", 0, 0, "axis", "middle")
    parts.append(tag("g", beside, transform=f"translate(11 {_TOP + _UP / 2}) rotate(-90)"))
    for limit in limits:
        y = scale.y(limit)
        parts.append(tag("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="accept"))
    names = " and ".join(name for name, value in document.limits.items() if value == limits[-1])
    shown = "accepted up to here" if len(limits) == 1 else f"accepted up to here: {names}"
    parts.append(text(shown, right, lost - 4, "tick", "end"))
    if scale.low <= document.settings.budget_ms <= scale.high:
        x = scale.x(document.settings.budget_ms)
        parts.append(tag("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="budget"))
        anchor = "end" if x > _LEFT + 0.5 * _ACROSS else "start"
        parts.append(text("budget", x, _TOP - 5, "tick", anchor))
    return "".join(parts)


def _up_axis(scale: _Scale) -> list[str]:
    parts = []
    for value in ticks(0, 100 * scale.most):
        y = scale.y(value / 100)
        parts += [
            tag("line", x1=_LEFT, x2=_LEFT + _ACROSS, y1=y, y2=y, class_="grid"),
            text(f"{value:g}", _LEFT - 6, y + 4, "tick", "end"),
        ]
    return parts


def _across_axis(scale: _Scale) -> list[str]:
    parts = []
    for value in log_ticks(scale.low, scale.high):
        x = scale.x(value)
        parts += [
            tag("line", x1=x, x2=x, y1=_TOP, y2=_TOP + _UP, class_="grid"),
            text(f"{value:g}", x, _HIGH - _BOTTOM + 16, "tick", "middle"),
        ]
    return parts


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten inside [low, high]; fewer where the span is wide.

    Linear ticks where less than two of them lie inside.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        found = [round(step * 10.0**power, 12) for power in powers for step in steps]
        inside = [value for value in found if low <= value <= high]
        if len(inside) <= 9:
            break
    return inside if len(inside) > 1 else ticks(low, high, about=4)


def _front(marks: Sequence[_Mark]) -> str:
    """A line through the front, from fast to slow."""
    on = sorted((mark for mark in marks if mark.row.front), key=lambda mark: (mark.x, mark.y))
    if len(on) < 2:
        return ""
    points = " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in on)
    return tag("polyline", points=points, class_="front")


def _drawn(mark: _Mark) -> str:
    row = mark.row
    hover = title(f"{_told(mark)}. {row.why}")
    kind = f"form {row.status}" + ("" if row.front else " behind")
    disc = tag("circle", hover, cx=mark.x, cy=mark.y, r=mark.radius, class_=kind)
    if row.status != "winner":
        return disc
    return disc + tag("circle", cx=mark.x, cy=mark.y, r=mark.radius + 3.5, class_="ring")


def _told(mark: _Mark) -> str:
    row, time = mark.row, wording.milliseconds(mark.ms)
    lost, size = pareto_words.loss(row), wording.size(row.size)
    return f"{row.number}: {row.id}, {time}, {lost} lost, {size}"


def _numbers(marks: Sequence[_Mark]) -> str:
    """The number of each mark above it, higher where another number stands there already."""
    taken: list[tuple[float, float]] = []
    parts = []
    for mark in sorted(marks, key=lambda mark: (mark.row.status != "winner", mark.x)):
        x, y = mark.x, mark.y - mark.radius - 3
        while any(abs(x - a) < 14 and abs(y - b) < _LINE for a, b in taken):
            y -= _LINE
        taken.append((x, y))
        kind = "halo strong" if mark.row.status == "winner" else "halo"
        parts.append(text(str(mark.row.number), x, y, kind, "middle"))
    return "".join(parts)
