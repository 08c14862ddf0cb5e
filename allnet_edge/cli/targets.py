"""List the devices that a bundle can be built for, or show one in full."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

if TYPE_CHECKING:
    from allnet_edge.roofline.estimate import Estimate
    from allnet_edge.roofline.graph import Graph
    from allnet_edge.spec.target import Precision, Target

app = verb_app()


@app.command()
def targets(
    name: Annotated[
        str | None, typer.Argument(help="A target, an alias, or the path of a .toml file.")
    ] = None,
    estimate: Annotated[
        Path | None,
        typer.Option(
            metavar="GRAPH.onnx",
            help="Estimate, not measure, the latency of this graph on the target, or on all.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="fp32|fp16|int8|mixed", help="Of the estimate; the graph's own."),
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List the devices that a bundle can be built for, or show one in full with its sources."""
    from allnet_edge.errors import UsageError
    from allnet_edge.spec.target import all_targets, load_target

    console = Console(as_json=as_json, quiet=quiet)
    if estimate is not None:
        _estimate(console, estimate, name, precision)
    elif precision is not None:
        raise UsageError("--precision needs --estimate", fix="add --estimate GRAPH.onnx")
    elif name is None:
        found = all_targets()
        console.result({"targets": [one.model_dump(mode="json") for one in found]}, _list(found))
    else:
        facts = load_target(name).model_dump(mode="json", exclude_none=True)
        console.result(facts, _facts(facts))


def _estimate(console: Console, path: Path, name: str | None, precision: str | None) -> None:
    from allnet_edge.cli.views import latency_estimate as view
    from allnet_edge.roofline.estimate import estimate, precision_of
    from allnet_edge.roofline.graph import read_graph
    from allnet_edge.spec.target import all_targets, load_target

    graph = read_graph(path)
    wanted = precision_of(graph, precision)
    if name is not None:
        found = estimate(graph, load_target(name), wanted)
        console.result(found.to_json(), view.one(found))
        return
    tried = {target.name: _or_reason(graph, target, wanted) for target in all_targets()}
    refused = {target: why for target, why in tried.items() if isinstance(why, str)}
    estimates = [found for found in tried.values() if not isinstance(found, str)]
    plain = [{"target": target, "why": why} for target, why in refused.items()]
    data = {"estimates": [one.to_json() for one in estimates], "refused": plain}
    console.result(data, view.many(estimates, refused))


def _or_reason(graph: "Graph", target: "Target", precision: "Precision") -> "Estimate | str":
    from allnet_edge.errors import UsageError
    from allnet_edge.roofline.estimate import estimate

    try:
        return estimate(graph, target, precision)
    except UsageError as error:
        return error.what


def _list(found: "tuple[Target, ...]") -> Table:
    table = Table("name", "alias", "device", "runtimes", "precisions", "budget")
    for target in found:
        table.add_row(
            target.name,
            ", ".join(target.aliases),
            target.title,
            ", ".join(target.runtimes),
            ", ".join(target.precisions),
            f"{target.latency_budget_ms.value:g} ms",
        )
    return table


def _facts(facts: dict[str, object]) -> Table:
    table = Table("what", "value", "source")
    for key, value in facts.items():
        _add(table, key, value)
    return table


def _add(table: Table, key: str, value: object, source: str = "") -> None:
    """One row for a fact, several for what has parts; plain parts share the source beside them."""
    if isinstance(value, dict) and "value" in value:
        table.add_row(key, f"{value['value']:g}", value["source"])
    elif isinstance(value, dict) and {"version", "name", "text"} & set(value):
        parts = [
            str(text) if part in {"text", "name"} else f"{part} {text}"
            for part, text in value.items()
            if part != "source"
        ]
        table.add_row(key, ", ".join(parts), value["source"])
    elif isinstance(value, dict):
        for part, inner in value.items():
            if part != "source":
                _add(table, f"{key}.{part}", inner, str(value.get("source", "")))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            _add(table, key, item)
    elif isinstance(value, bool):
        table.add_row(key, "yes" if value else "no", source)
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        table.add_row(key, text, source)
