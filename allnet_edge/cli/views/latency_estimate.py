"""How ``targets --estimate`` shows what a graph would take on a device that is not here."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from allnet_edge.roofline.estimate import Estimate

SLOWEST = 10


def one(found: Estimate) -> RenderableType:
    """One estimate with its error, its assumptions and its slowest kernels."""
    table = Table("kernel", "kind", "arithmetic", "ms", "bound by", title="slowest kernels")
    for layer in sorted(found.layers, key=lambda each: -each.milliseconds)[:SLOWEST]:
        name = " + ".join(layer.operators)
        table.add_row(name, layer.kind, layer.arithmetic, f"{layer.milliseconds:.3g}", layer.bound)
    return Group(found.sentence(), *(f"assumed: {text}" for text in found.assumptions), table)


def many(found: Sequence[Estimate], refused: Mapping[str, str]) -> RenderableType:
    """One row a target; those that cannot be estimated say why."""
    table = Table("target", "precision", "estimate, ms", "error: half within", "nine of ten within")
    for each in found:
        table.add_row(
            each.target,
            each.precision,
            f"{each.milliseconds:.3g}",
            f"{each.error.median:.0%}",
            f"{each.error.p90:.0%}",
        )
    for name, why in refused.items():
        table.add_row(name, "-", why)
    return Group(table, "estimates, not measured; errors on boards that the model had not seen")
