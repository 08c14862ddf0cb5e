"""How ``optimize`` shows what it will try, and what came of it."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table

from allnet_edge.cli.views.phantom import PHANTOM
from allnet_edge.pipeline.candidates import forms
from allnet_edge.pipeline.optimize import HTML, JSON
from allnet_edge.pipeline.optimize_space import Search, Trial
from allnet_edge.report import pareto_words as words
from allnet_edge.report import wording
from allnet_edge.report.pareto_document import OptimizeDocument, ParetoRow


def plan_json(search: Search) -> dict[str, object]:
    """The trials as plain data."""
    return {
        "target": search.target.name,
        "out": str(search.out),
        "budget_ms": search.budget_ms,
        "budget_source": search.budget_source,
        "rank_by": search.rank_by,
        "recipe": search.trials[0].plan.recipe.model_dump(mode="json"),
        "trials": [
            {
                "name": trial.name,
                "run": str(trial.run),
                "student": trial.student,
                "channels": trial.channels,
                "sparsity": trial.sparsity,
                "stages": [stage.name for stage in trial.forms_plan.stages],
                "forms": _forms(trial),
            }
            for trial in search.trials
        ],
    }


def plan_table(search: Search) -> RenderableType:
    """The trials as a table."""
    table = Table(title=f"{search.target.title}\nin {search.out}")
    for heading in ("trial", "run", "judged against", "forms"):
        table.add_column(heading)
    for trial in search.trials:
        against = trial.plan.sources.reference
        table.add_row(trial.name, str(trial.run), str(against), ", ".join(_forms(trial)))
    return Group(
        table,
        f"budget: {search.budget_ms:g} ms a cell, {words.COUNTED[search.rank_by]} "
        f"({search.budget_source})",
        "of the winner's trial alone the gate, the report and the bundle are made",
    )


def _forms(trial: Trial) -> list[str]:
    return [form.id for form in forms(trial.plan.recipe, trial.plan.target)]


def result_json(document: OptimizeDocument) -> dict[str, object]:
    """What came of a search, as plain data."""
    return {**document.model_dump(mode="json"), "front": list(document.front)}


def summary(document: OptimizeDocument, out: Path) -> RenderableType:
    """Every candidate, the gate's verdict on the winner, and where the results lie."""
    lines = [document.headline]
    gate = document.gate
    if gate is not None:
        lines += [
            *(check.sentence() for check in gate.checks if check.verdict != "pass"),
            f"gate verdict: {gate.verdict}. {words.gate_told(gate)}",
            f"report: {out / gate.report}",
        ]
        if gate.bundle is not None:
            lines.append(f"bundle: {out / gate.bundle} (starts with {gate.deployed})")
    budget = document.settings
    lines += [
        f"budget: {budget.budget_ms:g} ms a cell, {words.COUNTED[budget.rank_by]}",
        f"the budget's source: {budget.budget_source}",
        f"{words.HOST}; {document.target_latency}",
        f"search: {out / JSON}, {out / HTML}",
    ]
    if document.an_estimate:
        lines.append(f"estimates: {words.of_estimates(document.an_estimate)}")
    if document.phantom:
        lines.append(PHANTOM)
    return Group(_table(document), *lines, "research use only; never a diagnosis")


def _table(document: OptimizeDocument) -> Table:
    cells = document.cells
    patients = "patients unknown" if cells.patients is None else f"{cells.patients} patients"
    leaking = " (LEAKING)" if cells.leaking else ""
    kind = "phantom (synthetic) cells" if document.phantom else "cells"
    table = Table(
        title=f"loss on {cells.n} {cells.part} {kind}, {patients}, split by {cells.split}{leaking}"
    )
    for heading, justify in (("no.", "right"), ("candidate", "left"), ("front", "left")):
        table.add_column(heading, justify="right" if justify == "right" else "left")
    headings = ["sensitivity", "specificity", "latency here", "size"]
    if document.an_estimate:
        headings.insert(3, "estimate, target")
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("outcome")
    for row in document.rows:
        table.add_row(*_row(row, estimates=document.an_estimate is not None))
    return table


def _row(row: ParetoRow, *, estimates: bool) -> list[str]:
    estimate = wording.milliseconds(row.estimate.milliseconds) if row.estimate else "none"
    return [
        str(row.number),
        row.id,
        "front" if row.front else "",
        words.change(row, "sensitivity"),
        words.change(row, "specificity"),
        wording.milliseconds(row.latency.p50 if row.latency else None),
        *([estimate] if estimates else []),
        "no file" if row.size is None else wording.size(row.size),
        row.why,
    ]
