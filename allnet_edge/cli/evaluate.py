"""Judge a run or a bundle on held-out cells: figures, intervals, patients, shortcuts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

if TYPE_CHECKING:
    from allnet_edge.evaluation.cells import Options
    from allnet_edge.evaluation.judged import Evaluation
    from allnet_edge.progress import Progress

app = verb_app()


@app.command()
def evaluate(
    *,
    subject: Annotated[
        Path, typer.Argument(metavar="RUN|BUNDLE", help="Folder of a run, or of a bundle.")
    ],
    data: Annotated[Path, typer.Option("--data", help="Folder of the data set.")],
    split: Annotated[
        Path | None, typer.Option("--split", help="From 'data split'; else the run's own.")
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            help="test (the default), validation or train; a bundle without --split is judged on "
            "every image.",
        ),
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            "--prevalence", help="Share of positive cells in use, 0 to 1: PPV and NPV there."
        ),
    ] = None,
    tta: Annotated[
        int | None,
        typer.Option("--tta", help="Turns of each image whose mean logit is taken, e.g. 8."),
    ] = None,
    candidate: Annotated[
        str | None, typer.Option("--candidate", help="Of a bundle; its own choice by default.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder of the results; RUN/evaluation-PART for a run."
        ),
    ] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Judge a run or a bundle on held-out cells.

    Every figure comes with its interval (over patients, where they are known), beside shortcuts
    that see size and brightness, or the background, only. Cells that the network was trained or
    chosen on are refused as a test; a leaking split is judged and named LEAKING. Research use only.
    """
    from allnet_edge.evaluation.cells import Options

    console = Console(as_json=as_json, quiet=quiet)
    options = Options(split=split, part=part, prevalence=prevalence, turns=tta)
    bundled = _is_bundle(subject, candidate)
    folder = out
    if folder is None and not bundled:
        folder = subject / f"evaluation-{options.wanted}"
    if folder is not None:
        from allnet_edge.evaluation.write import require_writable

        require_writable(folder)
    with console.progress() as progress:
        found = _judge(subject, data, options, candidate, bundled=bundled, progress=progress)
    if folder is not None:
        from allnet_edge.evaluation.write import write

        write(found, folder)
    for warning in found.document.warnings:
        console.warn(warning)

    from allnet_edge.cli.views.evaluate import summary

    console.result(found.document.model_dump(mode="json"), summary(found.document, folder))


def _is_bundle(subject: Path, candidate: str | None) -> bool:
    """Whether the folder is a bundle and not a run; refuses anything else."""
    from allnet_edge.errors import UsageError

    if (subject / "model.json").is_file():
        if candidate is not None:
            raise UsageError("a run has no candidates", where=subject, fix="leave --candidate out")
        return False
    if (subject / "bundle" / "manifest.json").is_file():
        raise UsageError(
            "this is a build folder", where=subject, fix=f"judge its bundle: {subject / 'bundle'}"
        )
    if not (subject / "manifest.json").is_file():
        raise UsageError(
            "this is neither a run (no model.json) nor a bundle (no manifest.json)",
            where=subject,
            fix="name a RUN that has finished, or the folder 'bundle' inside a build folder",
        )
    return True


def _judge(
    subject: Path,
    data: Path,
    options: "Options",
    candidate: str | None,
    *,
    bundled: bool,
    progress: "Progress",
) -> "Evaluation":
    if bundled:
        from allnet_edge.evaluation.from_bundle import evaluate_bundle

        return evaluate_bundle(subject, data, options, candidate=candidate, progress=progress)
    from allnet_edge.evaluation.from_run import evaluate_run

    return evaluate_run(subject, data, options, progress=progress)
