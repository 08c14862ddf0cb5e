"""Loss and accuracy over the epochs of training, for the report and as a file of its own."""

import math
from collections.abc import Callable, Sequence

from allnet_edge.report.document import Epoch
from allnet_edge.report.svg import frame, tag, text, ticks, title

_WIDE, _HIGH = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 34, 42

_Reader = Callable[[Epoch], float | None]
_LOSS: tuple[_Reader, _Reader] = (lambda e: e.loss, lambda e: e.val_loss)
_ACCURACY: tuple[_Reader, _Reader] = (lambda e: e.accuracy, lambda e: e.val_accuracy)

_ALONE = """
svg{background:#fff;font:12px system-ui,sans-serif}
text{fill:#1b2530}.strong{font-weight:600}.tick{fill:#5b6672;font-size:11px}
.grid{stroke:#e3e7eb}.base{stroke:#98a3ad}.limit{stroke:#6b7783;stroke-dasharray:4 3}
.train,.validation{fill:none;stroke:#0072b2;stroke-width:2;stroke-dasharray:5 3}
.validation{stroke:#c24d00;stroke-dasharray:none}
circle.train{fill:#0072b2}circle.validation{fill:#c24d00}
@media(prefers-color-scheme:dark){
svg{background:#181f27}text{fill:#e4e9ee}.tick{fill:#9aa6b2}
.grid{stroke:#2b3540}.base{stroke:#6b7783}.limit{stroke:#93a0ad}
.train{stroke:#5cb3ea}.validation{stroke:#ff9a5c}
circle.train{fill:#5cb3ea}circle.validation{fill:#ff9a5c}}
"""
"""Colours of the drawing that stands alone; a page brings its own."""


def best_epoch(history: Sequence[Epoch]) -> int | None:
    """The first epoch with the highest validation accuracy; None where there is none."""
    known = [(e.val_accuracy, -e.epoch) for e in history if e.val_accuracy is not None]
    return -max(known)[1] if known else None


def training_svg(history: Sequence[Epoch], best: int | None = None) -> str:
    """A drawing of the training that stands alone (``RUN/history.svg``), light and dark.

    Args:
        history: In the order of the epochs.
        best: Epoch whose weights were kept; the highest validation accuracy when None.
    """
    best = best_epoch(history) if best is None else best
    panels = [
        tag(
            "g",
            text(measure, _LEFT, 16, "strong"),
            _panel_body(history, best, measure),
            transform=f"translate({_WIDE * at} 0)",
        )
        for at, measure in enumerate(("loss", "accuracy"))
    ]
    return frame(
        "training",
        "Training history",
        _story(history, best),
        tag("style", _ALONE),
        *panels,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {2 * _WIDE} {_HIGH}",
        width=2 * _WIDE,
        height=_HIGH,
    )


def training_panel(history: Sequence[Epoch], best: int | None, measure: str, key: str) -> str:
    """One panel, ``loss`` or ``accuracy``, for a page that brings the heading and the colours."""
    return frame(
        key,
        f"Training history: {measure}",
        _story(history, best),
        _panel_body(history, best, measure),
        viewBox=f"0 0 {_WIDE} {_HIGH}",
        class_="plot",
    )


def _story(history: Sequence[Epoch], best: int | None) -> str:
    kept = next((e for e in history if e.epoch == best), None)
    if kept is None:
        return f"{len(history)} epochs"
    values = [
        f"{name} {value:.3f}"
        for name, value in (
            ("loss", kept.loss),
            ("validation loss", kept.val_loss),
            ("accuracy", kept.accuracy),
            ("validation accuracy", kept.val_accuracy),
        )
        if value is not None
    ]
    return f"{len(history)} epochs; best epoch {best}: " + ", ".join(values)


def _panel_body(history: Sequence[Epoch], best: int | None, measure: str) -> str:
    readers = _LOSS if measure == "loss" else _ACCURACY
    lines = [_points(history, reader) for reader in readers]
    values = [y for line in lines for _, y in line]
    if not values:
        return text("not measured", _WIDE / 2, _HIGH / 2, "tick", "middle")
    low = 0.0 if measure == "loss" else max(0.0, math.floor(min(values) * 10) / 10)
    high = max(values) * 1.05 if measure == "loss" else 1.0
    epochs = [e.epoch for e in history]
    box = (min(epochs), max(epochs), low, high if high > low else low + 1)
    drawn = [
        _line(line, box, kind) for line, kind in zip(lines, ("train", "validation"), strict=True)
    ]
    return "".join([_key(), _grid(box), _mark(best, box), *drawn])


def _points(history: Sequence[Epoch], read: _Reader) -> list[tuple[float, float]]:
    pairs = ((float(epoch.epoch), read(epoch)) for epoch in history)
    return [(x, y) for x, y in pairs if y is not None and math.isfinite(y)]


_Box = tuple[float, float, float, float]  # first epoch, last epoch, lowest, highest value


def _place(point: tuple[float, float], box: _Box) -> tuple[float, float]:
    first, last, low, high = box
    along = (point[0] - first) / (last - first) if last > first else 0.5
    up = (point[1] - low) / (high - low)
    return _LEFT + along * (_WIDE - _LEFT - _RIGHT), _HIGH - _BOTTOM - up * (_HIGH - _TOP - _BOTTOM)


def _line(points: Sequence[tuple[float, float]], box: _Box, kind: str) -> str:
    placed = [_place(point, box) for point in points]
    if len(placed) == 1:
        return tag("circle", title(kind), cx=placed[0][0], cy=placed[0][1], r=4, class_=kind)
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    return tag("polyline", title(kind), points=joined, class_=kind)


def _grid(box: _Box) -> str:
    first, last, low, high = box
    right, bottom = _WIDE - _RIGHT, _HIGH - _BOTTOM
    parts = []
    for value in ticks(low, high):
        y = _place((first, value), box)[1]
        parts += [
            tag("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid"),
            text(f"{value:g}", _LEFT - 7, y + 4, "tick", "end"),
        ]
    for value in ticks(first, last):
        if value == round(value):
            x = _place((value, low), box)[0]
            parts.append(text(f"{value:.0f}", x, bottom + 17, "tick", "middle"))
    parts.append(tag("line", x1=_LEFT, x2=right, y1=bottom, y2=bottom, class_="base"))
    parts.append(text("epoch", (_LEFT + right) / 2, _HIGH - 6, "axis", "middle"))
    return "".join(parts)


def _mark(best: int | None, box: _Box) -> str:
    if best is None or not box[0] <= best <= box[1]:
        return ""
    x = _place((best, box[2]), box)[0]
    beside = x < _WIDE - 100
    label = text(f"best, {best}", x + (5 if beside else -5), _HIGH - _BOTTOM - 6, "tick",
                 "start" if beside else "end")  # fmt: skip
    return tag("line", x1=x, x2=x, y1=_TOP, y2=_HIGH - _BOTTOM, class_="limit") + label


def _key() -> str:
    parts = []
    for x, kind in ((_WIDE - 180, "train"), (_WIDE - 108, "validation")):
        parts.append(tag("polyline", points=f"{x},12 {x + 22},12", class_=kind))
        parts.append(text(kind, x + 27, 16, "tick"))
    return "".join(parts)
