"""A report document as one self-contained HTML file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from allnet_edge.measure.bench_report import BenchReport, BenchRow
from allnet_edge.report import bars, forest, history, plots, wording
from allnet_edge.report.document import Confusion, ReportDocument, Rung
from allnet_edge.report.flipped import class_names, flipped_groups
from allnet_edge.report.markdown import render_markdown

__all__ = ["render_html", "render_markdown"]

_CORNERS = (0.1, 0.2, 0.3, 0.5)


def render_html(document: ReportDocument) -> str:
    """Render the report.

    Args:
        document: Everything that it says.

    Returns:
        One HTML document with its styles, plots and images inside, that asks no other host for
        anything and reads the same without scripts.
    """
    negative, positive = class_names(document)
    chosen = next((rung for rung in document.ladder if rung.chosen), None)
    return environment().get_template("report.html.j2").render(
        doc=document,
        figures=_figures(document),
        flips=flipped_groups(document),
        negative=negative,
        positive=positive,
        chosen=chosen,
        judged=[rung for rung in document.ladder if rung.verdict is not None],
        checks={check.metric: check for check in chosen.checks} if chosen else {},
        speed=_speed(document),
        series=plots.SERIES,
        recipe=json.dumps(document.recipe, indent=2, ensure_ascii=False),
    )  # fmt: skip


def _speed(document: ReportDocument) -> BenchRow | None:
    """The chosen network's row of a benchmark that counts."""
    latency = document.latency
    if latency is None or not latency.valid:
        return None
    return next((row for row in latency.rows if row.id == document.verdict.chosen), None)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Where every page's template comes from: all text is escaped, an unknown name is an error."""
    environment = Environment(
        loader=PackageLoader("allnet_edge.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["say"] = wording
    return environment


@dataclass(frozen=True, slots=True)
class _Figures:
    """Finished drawings; an empty one has nothing to show."""

    forest: tuple[Markup, ...]
    confusion: tuple[tuple[tuple[Rung, ...], Markup], ...]
    roc: tuple[Markup, ...]
    latency: tuple[tuple[str, Markup], ...]
    sizes: Markup
    training: tuple[Markup, ...]


def _figures(document: ReportDocument) -> _Figures:
    return _Figures(
        forest=_forest(document),
        confusion=_confusion(document),
        roc=_roc(document.ladder),
        latency=_latency(document.latency, document),
        sizes=_drawn(bars.sizes(document.sizes, "sizes")),
        training=_training(document),
    )


def _drawn(svg: str) -> Markup:
    """Plots escape their own text, so they are the one thing that the template takes as it is."""
    return Markup(svg)  # noqa: S704


def _forest(document: ReportDocument) -> tuple[Markup, ...]:
    metrics = [m for m in ("sensitivity", "specificity") if forest.shown(document.ladder, m)]
    scale = forest.span(document.ladder, metrics)
    confidence = document.gate.confidence if document.gate else 0.95
    return tuple(
        _drawn(forest.forest(document.ladder, metric, f"forest-{metric}", scale, confidence))
        for metric in metrics
    )


def _confusion(document: ReportDocument) -> tuple[tuple[tuple[Rung, ...], Markup], ...]:
    """One matrix for all networks that have the same one: what differs stands out."""
    same: dict[Confusion, list[Rung]] = {}
    for rung in document.ladder:
        if rung.confusion is not None:
            same.setdefault(rung.confusion, []).append(rung)
    negative, positive = class_names(document)
    return tuple(
        (
            tuple(rungs),
            _drawn(plots.confusion(matrix, negative, positive, f"matrix-{at}", _ids(rungs))),
        )
        for at, (matrix, rungs) in enumerate(same.items())
    )


def _ids(rungs: Sequence[Rung]) -> str:
    return ", ".join(rung.id for rung in rungs)


def _roc(ladder: Sequence[Rung]) -> tuple[Markup, ...]:
    if not any(rung.roc for rung in ladder):
        return ()
    corner = _corner(ladder)
    whole = _drawn(plots.roc(ladder, "roc"))
    if corner is None:
        return (whole,)
    return whole, _drawn(plots.roc(ladder, "roc-corner", corner=corner))


def _corner(ladder: Sequence[Rung]) -> float | None:
    """The smallest enlargement that still shows every operating point well inside."""
    matrices = [rung.confusion for rung in ladder if rung.confusion is not None]
    if any(not (m.fp + m.tn and m.tp + m.fn) for m in matrices):
        return None
    worst = max(
        (max(m.fp / (m.fp + m.tn), m.fn / (m.tp + m.fn)) for m in matrices), default=1.0
    )  # fmt: skip
    return next((corner for corner in _CORNERS if worst <= 0.7 * corner), None)


def _latency(
    latency: BenchReport | None, document: ReportDocument
) -> tuple[tuple[str, Markup], ...]:
    if latency is None or not latency.rows:
        return ()
    where = wording.device_class(latency.device.device_class, document.target)
    longest = bars.slowest(latency.rows)
    panels = [("Inference alone", False), ("From image file to decision", True)]
    return tuple(
        (name, _drawn(bars.latency(latency.rows, f"latency-{at}", longest, where, whole=whole)))
        for at, (name, whole) in enumerate(panels)
    )


def _training(document: ReportDocument) -> tuple[Markup, ...]:
    training = document.training
    if training is None or not training.history:
        return ()
    best = training.best_epoch
    if best is None:
        best = history.best_epoch(training.history)
    return tuple(
        _drawn(history.training_panel(training.history, best, measure, f"training-{measure}"))
        for measure in ("loss", "accuracy")
    )
