"""How ``evaluate`` shows what came of it."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table

from allnet_edge.cli.views.phantom import PHANTOM
from allnet_edge.measure.performance import Figure
from allnet_edge.report import evaluation_words as words
from allnet_edge.report.evaluation_document import EvaluationDocument


def summary(document: EvaluationDocument, written: Path | None) -> RenderableType:
    """The figures with n, split and intervals, the probes, and where the files lie."""
    lines = [words.stamp(document.cells, document.probes).text, document.headline]
    lines += [
        words.probe_sentence(probe, document.performance)
        for probe in document.probes
        if not probe.within  # those stand among the warnings
    ]
    lines += [f"written: {written}"] if written else []
    if document.phantom:
        lines.append(PHANTOM)
    tables = [_table(document)]
    if document.performance.per_class:
        tables.append(_classes(document))
    return Group(*tables, *lines, "research use only; never a diagnosis")


def _table(document: EvaluationDocument) -> Table:
    cells, performance = document.cells, document.performance
    patients = "patients unknown" if cells.patients is None else f"{cells.patients} patients"
    kind = "phantom (synthetic) cells" if document.phantom else "images"
    split = f"split by {cells.split_in_words}" if cells.protocol else "no split"
    table = Table(title=f"{cells.n} {kind} ({cells.part}), {patients}, {split}")
    table.add_column("figure")
    table.add_column(_rule(document))
    if document.at_half:
        table.add_column("at 0.5")
    measured = [probe for probe in document.probes if probe.performance is not None]
    for probe in measured:
        table.add_column(words.PROBES[probe.name])
    table.add_column("n", justify="right")
    for name, figure in performance.figures.items():
        row = [_name(name, document), _told(name, figure)]
        if document.at_half:
            row.append(_told(name, document.at_half.get(name)))
        row += [
            _told(name, probe.performance.figures[name]) for probe in measured if probe.performance
        ]
        table.add_row(*row, str(figure.n))
    return table


def _classes(document: EvaluationDocument) -> Table:
    table = Table(title="each class against the rest")
    table.add_column("class")
    table.add_column("n", justify="right")
    shown = next(iter(document.performance.per_class.values()))
    for name in shown:
        table.add_column(words.title_of(name))
    for one, figures in document.performance.per_class.items():
        told = [_told(name, figure) for name, figure in figures.items()]
        table.add_row(one, str(document.cells.of_class[one]), *told)
    return table


def _rule(document: EvaluationDocument) -> str:
    point = document.operating_point
    if point.threshold is None:
        return document.network.network
    return f"{document.network.network}, threshold {point.threshold:.4f}"


def _name(name: str, document: EvaluationDocument) -> str:
    remark = words.remark_on(name, document.performance)
    return words.title_of(name) + (f" ({remark})" if remark else "")


def _told(name: str, figure: Figure | None) -> str:
    if figure is None:
        return ""
    bounds = words.interval(name, figure)
    return words.value(name, figure) + (f" ({bounds})" if bounds else "")
