"""An evaluation as one self-contained HTML file."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from allnet_edge.measure.performance import Figure, Performance
from allnet_edge.report import evaluation_words, square
from allnet_edge.report.document import Confusion
from allnet_edge.report.evaluation_document import EvaluationDocument, ProbeResult
from allnet_edge.report.matrix import confusion_of_classes
from allnet_edge.report.plots import SERIES, confusion
from allnet_edge.report.render import environment
from allnet_edge.report.square import Series


def render_evaluation(document: EvaluationDocument) -> str:
    """Render an evaluation.

    Returns:
        One HTML document with its styles and plots inside, that asks no other host for anything and
        reads the same without scripts.
    """
    measured = [probe for probe in document.probes if probe.performance is not None]
    tables = [document.performance.figures, *document.performance.per_class.values()]
    methods = evaluation_words.methods(
        [*tables, *(probe.performance.figures for probe in measured if probe.performance)]
    )
    return environment().get_template("evaluation.html.j2").render(
        doc=document,
        words=evaluation_words,
        stamp=evaluation_words.stamp(document.cells, document.probes),
        figures=_figures(document, measured),
        probes=measured,
        methods={method: number for number, method in enumerate(methods, start=1)},
        main=evaluation_words.main_figures(document.performance),
        series=SERIES,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Figures:
    """Finished drawings."""

    roc: Markup
    precision_recall: Markup
    reliability: Markup
    confusion: Markup
    legend: tuple[tuple[int, str, str], ...]  # style, name, figures


def _figures(document: EvaluationDocument, probes: list[ProbeResult]) -> _Figures:
    roc, precision, legend = _series(document, probes)
    shares = [n / max(document.cells.n, 1) for n in document.cells.of_class.values()]
    two = document.binary
    said = "probability of " + (document.network.classes[1] if two else "the decision")
    return _Figures(
        roc=_drawn(square.roc(roc, "roc")),
        precision_recall=_drawn(
            square.precision_recall(precision, "pr", shares[1:] if two else [])
        ),
        reliability=_drawn(
            square.reliability(
                document.reliability,
                "reliability-bins",
                f"{said}, %",
                "share of " + (document.network.classes[1] if two else "right decisions") + ", %",
            )
        ),
        confusion=_drawn(_confusion(document)),
        legend=tuple(legend),
    )


def _series(
    document: EvaluationDocument, probes: list[ProbeResult]
) -> tuple[list[Series], list[Series], list[tuple[int, str, str]]]:
    """Curves of the network, and ROC curves of the probes where there are two classes."""
    roc, precision, legend = [], [], []
    performance = document.performance
    for at, curve in enumerate(document.curves):
        style = 0 if document.binary else 1 + at % (SERIES - 1)
        figures = performance.figures if document.binary else performance.per_class[curve.name]
        name = document.network.network if document.binary else curve.name
        told = _areas(figures)
        where = None if document.folds else _operating_point(performance, at, document.binary)
        roc.append(Series(name, told, curve.roc, where and where[0], style))
        precision.append(Series(name, told, curve.precision_recall, where and where[1], style))
        legend.append((style, name, told))
    for at, probe in enumerate(probes, start=1):
        if probe.roc and probe.performance is not None:
            name = evaluation_words.PROBES[probe.name]
            told = evaluation_words.told("roc_auc", probe.performance.figures)
            roc.append(Series(name, told, probe.roc, None, at))
            legend.append((at, name, told))
    return roc, precision, legend


def _areas(figures: Mapping[str, Figure]) -> str:
    return ", ".join(evaluation_words.told(name, figures) for name in ("roc_auc", "pr_auc"))


def _operating_point(
    performance: Performance, position: int, binary: bool
) -> tuple[tuple[float, float], tuple[float, float] | None] | None:
    """(1 - specificity, sensitivity), and (recall, precision) where something was called so."""
    matrix, at = performance.confusion, 1 if binary else position
    hits, cells = matrix[at][at], sum(matrix[at])
    called = sum(row[at] for row in matrix)
    others = performance.n - cells
    recall = hits / cells
    point = ((called - hits) / others, recall)
    return point, (recall, hits / called) if called else None


def _confusion(document: EvaluationDocument) -> str:
    counts, classes = document.performance.confusion, document.network.classes
    name = document.network.network
    if not document.binary:
        return confusion_of_classes(counts, classes, "confusion-counts", name)
    (tn, fp), (fn, tp) = counts
    return confusion(
        Confusion(tp=tp, fn=fn, tn=tn, fp=fp), classes[0], classes[1], "confusion-counts", name
    )


def _drawn(svg: str) -> Markup:
    """Plots escape their own text, so they are the one thing that the template takes as it is."""
    return Markup(svg)  # noqa: S704
