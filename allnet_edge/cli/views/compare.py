"""How ``compare`` shows what it found."""

from rich.console import Group, RenderableType
from rich.table import Column, Table

from allnet_edge.cli.views.bench import milliseconds
from allnet_edge.device.compare.document import INCONCLUSIVE, INVALID, REGRESSION, Comparison

_ABSENT = "none"


def comparison_view(found: Comparison) -> RenderableType:
    """Times with their verdicts, what else changed, and the sum of it."""
    parts: list[RenderableType] = []
    if found.speed:
        parts.append(_speed(found))
    if found.changes:
        table = Table("changed", Column("A", overflow="fold"), Column("B", overflow="fold"))
        for one in found.changes:
            table.add_row(one.what, one.a or _ABSENT, one.b or _ABSENT)
        parts.append(table)
    parts += [f"not comparable: {text}" for text in found.refused]
    parts += [f"invalid: {text}" for text in found.invalid]
    parts += [f"note: {text}" for text in found.warnings]
    parts += [f"REGRESSION: {text}" for text in found.regressions]
    return Group(*parts, _sum(found))


def _speed(found: Comparison) -> Table:
    table = Table("candidate", "A p50 ms", "B p50 ms", "B / A", "95 % interval", "B is", "why")
    for one in found.speed:
        name = one.b if one.a == one.b else f"{one.a} -> {one.b}"
        told = one.ratio is not None and one.lower is not None and one.upper is not None
        table.add_row(
            name,
            milliseconds(one.a_p50_ms),
            milliseconds(one.b_p50_ms),
            f"{one.ratio:.3f}" if told else "",
            f"{one.lower:.3f} to {one.upper:.3f}" if told else "",
            one.verdict,
            one.why,
        )
    return table


def _sum(found: Comparison) -> str:
    if found.exit_code == REGRESSION:
        return "B is worse than A"
    if found.exit_code == INVALID:
        return "a benchmark is invalid: measure again"
    if found.exit_code == INCONCLUSIVE:
        return "cannot be told"
    if found.kind == "bundles" and not found.changes:
        return "the same"
    return "no regression"
