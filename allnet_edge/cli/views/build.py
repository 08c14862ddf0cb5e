"""How ``build`` shows a plan and what came of it."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from allnet_edge.cli.views.phantom import PHANTOM
from allnet_edge.data.split import load_split
from allnet_edge.measure.gate_report import GateReport, advice, shortfalls
from allnet_edge.pipeline.outlook import CHANGED, Outlook
from allnet_edge.pipeline.plan import Plan
from allnet_edge.pipeline.run import Outcome, tool_versions


def plan_json(plan: Plan, outlook: Sequence[Outlook]) -> dict[str, object]:
    """The plan as plain data."""
    return {
        "target": plan.target.name,
        "out": str(plan.out),
        "embedded": plan.embedded,
        "recipe": plan.recipe.model_dump(mode="json"),
        "stages": [
            {
                "name": stage.name,
                "title": stage.title,
                "after": [one.name for one in plan.stages if one.name in stage.after],
                "settings": dict(stage.settings(plan.recipe, plan.target)),
                "tools": tool_versions(stage),
            }
            for stage in plan.stages
        ],
        "outlook": [one.model_dump(mode="json") for one in outlook],
    }


def plan_table(plan: Plan, outlook: Sequence[Outlook]) -> RenderableType:
    """The plan as a table, and below it what the gate's cells can decide."""
    source = "phantom cells (synthetic), trained on the spot" if plan.embedded else plan.sources.run
    table = Table(title=f"{plan.target.title}\nfrom {source} into {plan.out}")
    for heading in ("stage", "does", "after", "tools"):
        table.add_column(heading)
    for stage in plan.stages:
        after = ", ".join(one.name for one in plan.stages if one.name in stage.after)
        tools = ", ".join(f"{name} {version}" for name, version in tool_versions(stage).items())
        table.add_row(stage.name, stage.title, after, tools)
    return Group(table, _outlook_table(outlook)) if outlook else table


def _outlook_table(outlook: Sequence[Outlook]) -> Table:
    table = Table(title="how often the check of each class passes a truly equal candidate")
    for heading in ("", "gate cells", "patients", "needed at least", "validation cells"):
        table.add_column(heading)
    for changed in CHANGED:
        table.add_column(f"{100 * changed:g} % changed", justify="right")
    for one in outlook:
        table.add_row(
            f"{one.metric} ({', '.join(one.labels)})",
            f"{one.n:,}",
            "unknown" if one.patients is None else f"{one.patients:,}",
            "no number does" if one.fewest is None else f"{one.fewest:,}",
            f"{one.validation:,}",
            *(f"{100 * chance.passes:.0f} %" for chance in one.chances),
        )
    return table


def is_phantom(plan: Plan) -> bool:
    """Whether a finished build was judged on phantom cells."""
    return load_split(plan.sources.split_path).layout == "phantom"


def result_json(outcome: Outcome, *, phantom: bool) -> dict[str, object]:
    """What came of a build, as plain data."""
    return {
        "verdict": outcome.verdict,
        "chosen": outcome.chosen,
        "phantom": phantom,
        "bundle": str(outcome.bundle) if outcome.bundle else None,
        "report": str(outcome.report),
        "ran": outcome.ran,
        "skipped": outcome.skipped,
        "gate": outcome.gate.model_dump(mode="json"),
    }


def summary(outcome: Outcome, *, phantom: bool) -> RenderableType:
    """The gate's verdict on every candidate, and where the results lie."""
    where = [f"report: {outcome.report}"]
    if outcome.bundle:
        where.append(f"bundle: {outcome.bundle} (chosen: {outcome.chosen})")
    else:
        where.append("no bundle: every candidate failed the gate")
    if outcome.skipped:
        where.append(f"unchanged, not made again: {', '.join(outcome.skipped)}")
    return Group(
        _gate_table(outcome.gate, phantom=phantom),
        *shortfalls(outcome.gate),
        f"gate verdict: {outcome.verdict}",
        *([f"what to do: {todo}"] if (todo := advice(outcome.gate)) else []),
        *where,
        *([PHANTOM] if phantom else []),
        "research use only; never a diagnosis",
    )


def _gate_table(gate: GateReport, *, phantom: bool) -> Table:
    patients = "patients unknown" if gate.patients is None else f"{gate.patients} patients"
    cells = "phantom (synthetic) cells" if phantom else "cells"
    leaking = " (LEAKING)" if gate.leaking else ""
    table = Table(title=f"gate on {gate.n} {cells}, {patients}, split by {gate.split}{leaking}")
    for heading in ("candidate", "verdict", "sensitivity", "specificity", "flips + to -", "- to +"):
        table.add_column(heading)
    for candidate in gate.candidates:
        drops = {
            check.metric: "not measured"
            if check.delta is None or check.lower is None
            else f"{check.delta:+.4f} (bound {check.lower:+.4f})"
            for check in candidate.checks
        }
        table.add_row(
            candidate.id,
            candidate.verdict,
            drops.get("sensitivity", ""),
            drops.get("specificity", ""),
            str(candidate.flips.positive_to_negative),
            str(candidate.flips.negative_to_positive),
        )
    return table
