"""The few pieces that every plot is drawn with: elements, text, an accessible frame, round ticks.

Plots are plain SVG text. Colours come from CSS variables of the page (``style.css``), so that one
drawing serves light, dark and paper. All text is escaped here and nowhere else.
"""

import math
from collections.abc import Sequence
from html import escape


def tag(name: str, *children: str, **attributes: str | float | None) -> str:
    """One element; ``class_`` means class, ``stroke_width`` means stroke-width, None is left out.

    Args:
        name: Of the element.
        children: Markup that is escaped already.
        attributes: Values are escaped; numbers are rounded to two decimals.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(children)}</{name}>"


def _value(value: str | float | None) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(
    content: str, x: float | str, y: float | str, kind: str = "", anchor: str = "start"
) -> str:
    """A line of text with its baseline at ``y``; ``anchor`` is start, middle or end."""
    return tag("text", escape(content), x=x, y=y, class_=kind or None, text_anchor=anchor)


def title(content: str) -> str:
    """What a pointer that rests on the element shows."""
    return tag("title", escape(content))


def frame(key: str, name: str, desc: str, *children: str, **attributes: str | float | None) -> str:
    """An ``<svg>`` that a screen reader reads out.

    Args:
        key: Unique in the page; letters, digits and hyphens.
        name: What the figure is.
        desc: What it shows, with the numbers that matter.
        children: Markup.
        attributes: Of the element, such as ``viewBox``, ``width``, ``height``.
    """
    return tag(
        "svg",
        tag("title", escape(name), id=f"{key}-title"),
        tag("desc", escape(desc), id=f"{key}-desc"),
        *children,
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        **attributes,
    )


def share(value: float) -> str:
    """A position as a percentage of the drawing's width: such drawings need no scaling of text."""
    return f"{100 * value:.3f}%"


def marker(shape: str, x: str, y: float, kind: str, label: str) -> str:
    """A mark whose shape tells the verdict: pass is a disc, fail a square, inconclusive a ring.

    Args:
        shape: ``pass``, ``fail`` or ``inconclusive``; anything else is a small disc.
        x: Position in per cent of the width.
        y: Position in pixels.
        kind: CSS class.
        label: Shown on hovering.
    """
    hover = title(label)
    if shape == "fail":
        square = tag("rect", hover, x=-6, y=-6, width=12, height=12, class_=kind)
        return tag("svg", square, x=x, y=y, overflow="visible")
    if shape == "inconclusive":
        return tag("circle", hover, cx=x, cy=y, r=5.5, class_=f"{kind} hollow")
    return tag("circle", hover, cx=x, cy=y, r=6 if shape == "pass" else 4, class_=kind)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) inside ``[low, high]``."""
    if not high > low:
        return [low]
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def simplified(curve: Sequence[tuple[float, float]], most: int = 240) -> list[tuple[float, float]]:
    """A curve without the points that lie on a straight line, then thinned to about ``most``."""
    kept: list[tuple[float, float]] = []
    for point in curve:
        while len(kept) > 1 and _straight(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    if len(kept) <= most:
        return kept
    stride = math.ceil(len(kept) / most)
    return [*kept[:-1:stride], kept[-1]]


def _straight(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return abs((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) < 1e-12
