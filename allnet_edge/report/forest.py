"""The forest plot: what each candidate lost, with its bound, against the margin.

Drawn without a view box, with positions in per cent of the width: the text keeps its size on a
telephone and on a wide screen.
"""

from collections.abc import Sequence

from allnet_edge.measure.gate_report import Check
from allnet_edge.report import wording
from allnet_edge.report.document import Rung
from allnet_edge.report.svg import frame, marker, share, tag, text, ticks

_ROW = 52
_HEAD = 24
_FOOT = 42
_REACH = 5  # how many margins to the left are drawn; one bad candidate must not flatten the rest


def shown(rungs: Sequence[Rung], metric: str) -> list[tuple[Rung, Check]]:
    """The candidates that have this check, in the order of the ladder."""
    return [(rung, check) for rung in rungs for check in rung.checks if check.metric == metric]


def span(rungs: Sequence[Rung], metrics: Sequence[str]) -> tuple[float, float]:
    """One scale for several panels, so that they can be compared by eye.

    Returns:
        Lowest and highest difference drawn, with the margin and zero inside.
    """
    checks = [check for metric in metrics for _, check in shown(rungs, metric)]
    margin = max([0.002, *(check.margin for check in checks)])
    ends = [end for check in checks for end in (check.lower, check.delta, check.upper)]
    known = [end for end in ends if end is not None]
    low, high = min([-margin, *known]), max([0.5 * margin, *known])
    room = 0.25 * margin
    return max(low, -_REACH * margin) - room, min(high, _REACH * margin) + room


def forest(
    rungs: Sequence[Rung], metric: str, key: str, scale: tuple[float, float], confidence: float
) -> str:
    """One panel: a row a candidate, its paired difference and the one-sided bounds about it.

    Args:
        rungs: The ladder.
        metric: ``sensitivity`` or ``specificity``.
        key: Unique in the page.
        scale: From ``span``.
        confidence: One-sided, of each bound; for the description.
    """
    rows = shown(rungs, metric)
    height = _HEAD + _ROW * len(rows) + _FOOT
    margin = -rows[0][1].margin if rows else 0.0
    drawn = [_row(at, rung, check, scale) for at, (rung, check) in enumerate(rows)]
    return frame(
        key,
        f"Change of {metric} against the float network",
        f"Margin {wording.points(margin)}; one-sided {confidence:.0%} bounds. "
        + "; ".join(
            f"{rung.id}: {wording.check_outcome(check)}, {check.verdict}" for rung, check in rows
        ),
        _ground(scale, margin, height),
        *drawn,
        class_="fluid",
        width="100%",
        height=height,
    )


def _across(value: float, scale: tuple[float, float]) -> float:
    return (value - scale[0]) / (scale[1] - scale[0])


def _ground(scale: tuple[float, float], margin: float, height: int) -> str:
    """Axis, the zone where too much is lost, the margin and the line of no change."""
    top, bottom = _HEAD - 4, height - _FOOT
    lost, none = _across(margin, scale), _across(0, scale)
    room = lost < 0.3  # the label has no room to the left of its line
    parts = [
        tag("rect", x=0, y=top, width=share(lost), height=bottom - top, class_="lost"),
        _upright(none, top, bottom, "base"),
        _upright(lost, top, bottom, "limit"),
        text(f"margin {wording.points(margin)}", share(lost), 12, "strong", "" if room else "end"),
        # Two labels that start close together would run into each other; the axis has its 0 anyway.
        text("no change", share(none), 12, "tick") if not room or none - lost > 0.4 else "",
        tag("line", x1=0, x2="100%", y1=bottom, y2=bottom, class_="base"),
    ]
    for value in ticks(*scale, about=8):
        at = _across(value, scale)
        label = wording.signed(100 * value, 2).rstrip("0").rstrip(".")
        parts += [
            _upright(at, bottom, bottom + 4, "base"),
            text(label, share(at), bottom + 17, "tick", "middle"),
        ]
    parts.append(
        text("edge \N{MINUS SIGN} float, percentage points", "50%", height - 8, "axis", "middle")
    )
    return "".join(parts)


def _upright(at: float, top: float, bottom: float, kind: str) -> str:
    return tag("line", x1=share(at), x2=share(at), y1=top, y2=bottom, class_=kind)


def _row(at: int, rung: Rung, check: Check, scale: tuple[float, float]) -> str:
    top = _HEAD + _ROW * at
    symbol = wording.verdict_symbol(check.verdict)
    return "".join(
        [
            text(_label(rung), 0, top + 18, "halo strong" if rung.chosen else "halo"),
            text(f"{_numbers(check)} {symbol}", "100%", top + 18, "halo", "end"),
            _interval(check, top + 36, scale),
        ]
    )


def _numbers(check: Check) -> str:
    if check.delta is None or check.lower is None:
        return wording.NOT_MEASURED
    delta, bound = (wording.signed(100 * value, 2) for value in (check.delta, check.lower))
    return f"{delta} (bound {bound})"


def _interval(check: Check, line: int, scale: tuple[float, float]) -> str:
    """The bar between the bounds with the difference on it; an arrow where it leaves the scale."""
    if check.delta is None or check.lower is None or check.upper is None:
        return ""
    low, middle, high = (_across(v, scale) for v in (check.lower, check.delta, check.upper))
    kind = f"interval {check.verdict}"
    ends = share(max(low, 0)), share(min(high, 1))
    parts = [tag("line", x1=ends[0], x2=ends[1], y1=line, y2=line, class_=kind)]
    parts += [
        _upright(end, line - 6, line + 6, kind)
        for end in (low, high)
        if low < high and 0 <= end <= 1
    ]
    if low < 0:
        parts.append(text("\N{BLACK LEFT-POINTING TRIANGLE}", 0, line + 4, check.verdict))
    if high > 1:
        parts.append(
            text("\N{BLACK RIGHT-POINTING TRIANGLE}", "100%", line + 4, check.verdict, "end")
        )
    if 0 <= middle <= 1:
        word = wording.verdict_word(check.verdict)
        parts.append(marker(check.verdict, share(middle), line, f"mark {check.verdict}", word))
    return "".join(parts)


def _label(rung: Rung, most: int = 24) -> str:
    name = rung.id if len(rung.id) <= most else rung.id[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return f"{name} \N{BLACK STAR}" if rung.chosen else name
