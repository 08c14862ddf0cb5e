"""Find the fastest form that is not worse, of a run and of its pruned and distilled kin."""

from pathlib import Path
from typing import Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, leave, verb_app

app = verb_app()


@app.command()
def optimize(
    *,
    target: Annotated[str, typer.Option("--target", help="Device, e.g. jetson or pi.")],
    run: Annotated[
        Path, typer.Option("--run", help="Float model from 'train'; all others are judged by it.")
    ],
    data: Annotated[Path, typer.Option("--data", help="Its data set.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder of the search.")] = Path(
        "optimize-out"
    ),
    split: Annotated[
        Path | None, typer.Option("--split", help="Another split than the run's own.")
    ] = None,
    student: Annotated[
        list[Path] | None,
        typer.Option("--student", help="Another run on the same split; repeatable."),
    ] = None,
    channels: Annotated[
        str, typer.Option("--channels", help="Shares of the MACs to keep; 1 removes no channel.")
    ] = "1,0.5",
    sparsity: Annotated[
        str, typer.Option("--sparsity", help="none, 2:4, or both: none,2:4.")
    ] = "none",
    precision: Annotated[
        str | None, typer.Option("--precision", help="auto, fp32, fp16, int8 or mixed.")
    ] = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            "--budget-ms", help="Longest time for one cell, by --rank-by; else the target's."
        ),
    ] = None,
    rank_by: Annotated[
        str,
        typer.Option(
            "--rank-by",
            help="host: latency measured here. estimate: the roofline of the target's GPU.",
        ),
    ] = "host",
    max_drop: Annotated[
        list[str] | None,
        typer.Option("--max-drop", help="Margin of the gate, e.g. specificity=0.02; repeatable."),
    ] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="All settings, as TOML.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the trials and stop.")] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Find the fastest form that is not worse.

    Every network is pruned in every way asked for, converted to every form that the target can use,
    judged on validation cells and measured on this host (host-proxy, never the device), or its
    latency estimated for the target's GPU. The fastest acceptable form within the budget wins; only
    then the gate runs, once, on test cells. The same command resumes. Exit code 0: the winner
    passed; 5: it failed, or nothing is acceptable within the budget; 8: too few cells to decide.
    Research use only.
    """
    from allnet_edge.device.abilities import BUILD, require_ability

    require_ability(BUILD)

    from allnet_edge.cli.views.optimize import plan_json, plan_table, result_json, summary
    from allnet_edge.pipeline.optimize import optimize as run_search
    from allnet_edge.pipeline.optimize_space import (
        Space,
        make_search,
        parse_shares,
        parse_sparsities,
    )
    from allnet_edge.pipeline.outlook import outlook

    console = Console(as_json=as_json, quiet=quiet)
    space = Space(
        target=target,
        run=run,
        data=data,
        split=split,
        students=tuple(student or ()),
        channels=parse_shares(channels),
        sparsities=parse_sparsities(sparsity),
        precision=precision,
        budget_ms=budget_ms,
        rank_by=rank_by,
        max_drops=tuple(max_drop or ()),
        recipe=recipe,
    )
    search = make_search(space, out)
    for warning in filter(None, (one.warning for one in outlook(search.trials[0].plan))):
        console.warn(warning)
    if dry_run:
        console.result(plan_json(search), plan_table(search))
        return
    with console.progress() as progress:
        found = run_search(search, progress)
    for note in found.document.notes:
        console.warn(note)
    console.result(result_json(found.document), summary(found.document, out))
    leave(found.verdict)
