"""Compare two benchmarks or two bundles: what changed, and what became worse beyond the noise."""

from pathlib import Path
from typing import Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

app = verb_app()


@app.command()
def compare(
    *,
    a: Annotated[Path, typer.Argument(help="A benchmark's folder or bench.json, or a bundle.")],
    b: Annotated[Path, typer.Argument(help="The other one; verdicts are on it.")],
    margin: Annotated[
        float, typer.Option(min=0, max=0.99, help="A difference up to this share counts as none.")
    ] = 0.02,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Compare two benchmarks or two bundles: what changed, and what became worse beyond the noise.

    Exit code 5 when B is worse: slower beyond the noise, or with a worse verdict of the gate; 6
    when a benchmark is invalid, 8 when it cannot be told, 0 otherwise.
    """
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.cli.views.compare import comparison_view
    from allnet_edge.device.compare.benches import compare_benches
    from allnet_edge.device.compare.bundles import compare_bundles
    from allnet_edge.device.compare.sides import is_bundle, read_bench
    from allnet_edge.errors import UsageError

    console = Console(as_json=as_json, quiet=quiet)
    bundles = [is_bundle(path) for path in (a, b)]
    if bundles[0] != bundles[1]:
        raise UsageError(
            "one is a bundle, the other a benchmark",
            where=a if bundles[0] else b,
            fix="compare two bundles, or two benchmarks",
        )
    if bundles[0]:
        found = compare_bundles(Bundle.open(a), Bundle.open(b))
    else:
        found = compare_benches(read_bench(a), read_bench(b), margin=margin)
    payload = {"exit_code": found.exit_code, **found.model_dump(mode="json")}
    console.result(payload, comparison_view(found))
    if found.exit_code:
        raise typer.Exit(found.exit_code)
