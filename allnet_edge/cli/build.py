"""Prune, quantize, compile and judge a network, and write the bundle for a device."""

from pathlib import Path
from typing import Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, leave, verb_app

app = verb_app()


@app.command()
def build(
    target: Annotated[str, typer.Option("--target", help="Device, e.g. jetson or pi.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder of the build.")] = Path(
        "build-out"
    ),
    run: Annotated[
        Path | None, typer.Option("--run", help="Float model from 'train'; needs --data.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Its data set.")] = None,
    split: Annotated[
        Path | None, typer.Option("--split", help="Another split than the run's own.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Another run to judge against, such as the teacher."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="auto, fp32, fp16, int8 or mixed.")
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(
            "--prune",
            help="none, 2:4, unstructured=S, channels=R (share of MACs) or channels=R,2:4.",
        ),
    ] = None,
    qat: Annotated[
        int | None,
        typer.Option("--qat", min=0, help="Epochs of quantization-aware training; 0 for none."),
    ] = None,
    max_drop: Annotated[
        list[str] | None,
        typer.Option("--max-drop", help="Margin of the gate, e.g. specificity=0.02; repeatable."),
    ] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="All settings, as TOML.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and what the gate can decide.")
    ] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Build a bundle: reference, prune, export, quantize, compile, gate, benchmark, report.

    Without --run the embedded default is built: phantom cells (synthetic) and a small ALLNet,
    trained on the spot. The same command resumes an interrupted build and skips what is unchanged.
    Exit code 0: passed; 5: the gate failed; 8: too few cells to decide. Research use only.
    """
    from allnet_edge.device.abilities import BUILD, require_ability

    require_ability(BUILD)

    from allnet_edge.cli.views.build import is_phantom, plan_json, plan_table, result_json, summary
    from allnet_edge.pipeline.outlook import outlook
    from allnet_edge.pipeline.plan import make_plan
    from allnet_edge.pipeline.run import run as run_plan

    console = Console(as_json=as_json, quiet=quiet)
    plan = make_plan(
        out,
        target,
        run=run,
        data=data,
        split=split,
        against=against,
        recipe=recipe,
        precision=precision,
        prune=prune,
        qat=qat,
        max_drops=tuple(max_drop or ()),
    )
    expected = outlook(plan)
    for warning in filter(None, (one.warning for one in expected)):
        console.warn(warning)
    if dry_run:
        console.result(plan_json(plan, expected), plan_table(plan, expected))
        return
    with console.progress() as progress:
        outcome = run_plan(plan, progress)
    phantom = is_phantom(plan)
    console.result(result_json(outcome, phantom=phantom), summary(outcome, phantom=phantom))
    leave(outcome.verdict)
