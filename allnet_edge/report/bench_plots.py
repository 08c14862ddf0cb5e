"""Latencies as drawings: how they are distributed, and how they ran over time. Nothing is clipped.

The axis of milliseconds is logarithmic in the distribution, so that a candidate of 0.3 ms, one of
70 ms and the one query that took a second are all in the picture.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.percentiles import queries_needed
from allnet_edge.measure.raw_samples import RawRun
from allnet_edge.report.svg import frame, simplified, tag, text, ticks, title

Times = npt.NDArray[np.float64]

SERIES = 7
"""How many pairs of colour and dash there are; a longer list starts over."""

_WIDE, _HIGH = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 14, 44
_INNER, _TALL = _WIDE - _LEFT - _RIGHT, _HIGH - _TOP - _BOTTOM
_BINS = 260
_PANEL = 150


def distribution(runs: Mapping[str, Sequence[Times]], key: str = "cdf") -> str:
    """Share of the queries that were at most as long: all of a candidate, and thin each process.

    Args:
        runs: Milliseconds of every query, for each candidate one array a process.
        key: Unique in the page.
    """
    everything = np.concatenate([values for one in runs.values() for values in one])
    low, high = _decades(float(everything.min()), float(everything.max()))
    drawn = []
    for at, (name, processes) in enumerate(runs.items()):
        kind = f"series s{at % SERIES}"
        if len(processes) > 1:
            drawn += [_steps(values, low, high, f"thin {kind}", name) for values in processes]
        drawn.append(_steps(np.concatenate(processes), low, high, kind, name))
    return frame(
        key,
        "Distribution of the latency",
        "; ".join(f"{name}: {_told(np.concatenate(one))}" for name, one in runs.items()),
        _log_axis(low, high),
        _share_axis(),
        tag("svg", *drawn, x=_LEFT, y=_TOP, width=_INNER, height=_TALL),
        viewBox=f"0 0 {_WIDE} {_HIGH}",
        class_="plot",
    )


def _told(values: Times) -> str:
    middle = float(np.median(values))
    return f"{values.size} queries, median {middle:.3g} ms, longest {float(values.max()):.3g} ms"


def _decades(low: float, high: float) -> tuple[float, float]:
    """Logarithms of the ends, a little wider than the samples."""
    first, last = math.log10(max(low, 1e-6)), math.log10(max(high, 1e-6))
    room = max(0.02, 0.03 * (last - first))
    return first - room, last + room


def _steps(values: Times, low: float, high: float, kind: str, name: str) -> str:
    """The empirical distribution, thinned where it is flat, whole at its tail."""
    ordered = np.sort(values)
    n = ordered.size
    ranks = np.unique(
        np.concatenate([
            np.linspace(0, n - 1, min(n, 160)),
            n - 1 - np.geomspace(1, n, min(n, 60)) + 1,
        ]).astype(int)
    )  # fmt: skip
    points = [
        (_INNER * (math.log10(max(ordered[at], 1e-6)) - low) / (high - low),
         _TALL * (1 - (at + 1) / n))
        for at in ranks
    ]  # fmt: skip
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in simplified(points, most=400))
    return tag("polyline", title(f"{name}: {_told(values)}"), points=line, class_=kind)


def _log_axis(low: float, high: float) -> str:
    parts = []
    bottom = _TOP + _TALL
    for value in _log_ticks(low, high):
        x = _LEFT + _INNER * (math.log10(value) - low) / (high - low)
        parts += [
            tag("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="grid"),
            text(f"{value:g}", x, bottom + 16, "tick", "middle"),
        ]
    name = text("milliseconds (logarithmic)", _LEFT + _INNER / 2, _HIGH - 8, "axis", "middle")
    return "".join([*parts, name])


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten; where that gives fewer than three, plain round numbers."""
    found = [
        step * 10.0**power
        for power in range(math.floor(low), math.ceil(high) + 1)
        for step in (1, 2, 5)
        if low <= math.log10(step * 10.0**power) <= high
    ]
    if len(found) > 9:
        found = [value for value in found if math.log10(value).is_integer()]
    return found if len(found) > 2 else ticks(10**low, 10**high, 5)


def _share_axis() -> str:
    parts = []
    for share in (0, 25, 50, 75, 90, 100):
        y = _TOP + _TALL * (1 - share / 100)
        parts += [
            tag("line", x1=_LEFT, x2=_LEFT + _INNER, y1=y, y2=y, class_="grid"),
            text(str(share), _LEFT - 7, y + 4, "tick", "end"),
        ]
    up = text("queries at most as long, %", 0, 0, "axis", "middle")
    turned = tag("g", up, transform=f"translate(14 {_TOP + _TALL / 2}) rotate(-90)")
    return "".join([*parts, turned])


def timeline(runs: Mapping[str, Sequence[RawRun]], key: str = "timeline") -> str:
    """Every query over time, one panel a candidate, its processes one after the other.

    A band from the shortest to the longest query of each slice of time, and its median.

    Args:
        runs: Of each candidate one run a process.
        key: Unique in the page.
    """
    panels = [
        tag("g", _panel(name, processes, at), transform=f"translate(0 {_PANEL * at})")
        for at, (name, processes) in enumerate(runs.items())
    ]
    height = _PANEL * len(runs) + 26
    told = (f"{name}: {_told(np.concatenate([p.ms for p in one]))}" for name, one in runs.items())
    foot = text(
        "seconds of measuring, process after process", _LEFT + _INNER / 2, height - 8, "axis",
        "middle",
    )  # fmt: skip
    return frame(
        key, "Latency over time", "; ".join(told), *panels, foot,
        viewBox=f"0 0 {_WIDE} {height}", class_="plot",
    )  # fmt: skip


def _panel(name: str, processes: Sequence[RawRun], at: int) -> str:
    top, bottom = 26, _PANEL - 22
    longest = max(float(run.ms.max()) for run in processes) * 1.05
    spans = [float(run.at_ms[-1] + run.ms[-1]) / 1000 for run in processes]
    total, begin, drawn = sum(spans), 0.0, []
    for run, span in zip(processes, spans, strict=True):
        place = _Place(_LEFT + _INNER * begin / total, _INNER / total, bottom, longest, top)
        drawn.append(_band(run, span, place, f"s{at % SERIES}", len(processes)))
        begin += span
        if begin < total * 0.999:
            x = _LEFT + _INNER * begin / total
            drawn.append(tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="guide"))
    marks = [
        tag("line", x1=_LEFT, x2=_LEFT + _INNER, y1=bottom, y2=bottom, class_="base"),
        text(name, _LEFT, 18, "strong"),
        text(f"longest {longest / 1.05:.3g} ms", _LEFT + _INNER, 18, "tick", "end"),
    ]
    for value in ticks(0, longest, 3):
        y = bottom - (bottom - top) * value / longest
        marks += [
            tag("line", x1=_LEFT, x2=_LEFT + _INNER, y1=y, y2=y, class_="grid"),
            text(f"{value:g} ms", _LEFT - 7, y + 4, "tick", "end"),
        ]
    for value in ticks(0, total, 6):
        marks.append(
            text(f"{value:g}", _LEFT + _INNER * value / total, _PANEL - 6, "tick", "middle")
        )
    return "".join([*marks, *drawn])


class _Place:
    """Where seconds and milliseconds lie in a panel."""

    def __init__(
        self, left: float, scale: float, bottom: float, longest: float, top: float
    ) -> None:
        self._left, self._scale = left, scale
        self._bottom, self._rise = bottom, (bottom - top) / longest

    def point(self, seconds: float, ms: float) -> str:
        return f"{self._left + self._scale * seconds:.1f},{self._bottom - self._rise * ms:.1f}"


def _band(run: RawRun, span: float, place: _Place, kind: str, of: int) -> str:
    bins = max(2, min(_BINS // of, run.ms.size))
    slices = np.minimum((run.at_ms / 1000 / span * bins).astype(int), bins - 1)
    edges = np.searchsorted(slices, np.arange(bins + 1))
    low, middle, high = [], [], []
    for at in range(bins):
        values = run.ms[edges[at] : edges[at + 1]]
        if not values.size:
            continue
        seconds = (at + 0.5) * span / bins
        low.append(place.point(seconds, float(values.min())))
        middle.append(place.point(seconds, float(np.median(values))))
        high.append(place.point(seconds, float(values.max())))
    return "".join([
        tag("polygon", points=" ".join([*low, *reversed(high)]), class_=f"band {kind}"),
        tag("polyline", points=" ".join(middle), class_=f"median {kind}"),
    ])  # fmt: skip


def supported_note(n: int) -> str:
    """Up to which percentile so many queries speak."""
    known = [
        f"p{100 * s:g}" for s in (0.5, 0.9, 0.95, 0.99, 0.999) if s == 0.5 or n >= queries_needed(s)
    ]
    return f"{n:,} queries support percentiles up to {known[-1]}"
