"""Check a folder of images, split it, or make phantom cells."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

if TYPE_CHECKING:
    from allnet_edge.data.check import DataReport

app = verb_app()

_SHOWN = 10

Folder = Annotated[Path, typer.Argument(help="Folder of the data set.", show_default=False)]
Layout = Annotated[str, typer.Option("--layout", help="auto, cnmc, aria or folders.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.")]


@app.command()
def check(
    folder: Folder,
    layout: Layout = "auto",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Read every image: counts, damaged files, copies, and patients that share images.

    Leaves with code 9 when no model can be trained on the set.
    """
    from allnet_edge.data.check import check as check_data

    console = Console(as_json=as_json, quiet=quiet)
    with console.progress() as progress:
        report = check_data(folder, layout, progress)
    for warning in report.warnings:
        console.warn(warning)
    console.result(report.model_dump(mode="json"), _report(report))
    if not report.usable_for_training:
        raise typer.Exit(9)


@app.command()
def split(
    folder: Folder,
    *,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            help="patient: no patient in two parts. block: runs of the file numbers with an "
            "embargo between them. random: leaks patients, and is named so. paper: the random "
            "split of the published works, 60/20/20 of the training folders; leaks as well.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The split file; with --folds a folder.", show_default=False
        ),
    ],
    seed: Seed = 0,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            help="With patient: so many splits, fold-1.json and on; each patient is tested in one.",
        ),
    ] = None,
    fractions: Annotated[
        str | None,
        typer.Option("--fractions", help="Shares of train, validation and test; 0.6,0.2,0.2."),
    ] = None,
    embargo: Annotated[
        int, typer.Option("--embargo", help="File numbers left out at a border, for block.")
    ] = 37,
    official: Annotated[
        bool,
        typer.Option(
            "--official/--grouped",
            help="C-NMC by patient: the challenge's own parts where all of them are there, or "
            "patients dealt anew. With --folds: the preliminary set stays out of them, or not.",
        ),
    ] = True,
    layout: Layout = "auto",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Deal the images to training, validation and test, with the proof that the parts are apart."""
    from allnet_edge.cli.views.split import folds_json, folds_text, split_json, split_text
    from allnet_edge.data.folds import make_folds, save_folds
    from allnet_edge.data.scan import load_index
    from allnet_edge.data.split import FRACTIONS, known_protocol, make_split, save_split

    console = Console(as_json=as_json, quiet=quiet)
    chosen = known_protocol(protocol)
    shares = FRACTIONS if fractions is None else _shares(fractions)
    if folds is not None:
        _only_by_patient(chosen, fractions)
    with console.progress() as progress:
        index = load_index(folder, layout, progress)
    if folds is not None:
        several = make_folds(index, folds, seed, official=official)
        save_folds(several, output)
        console.result(folds_json(several, output), folds_text(several, output))
        return
    made = make_split(index, chosen, seed, shares, embargo, official=official)
    save_split(made, output)
    if made.leaking:
        console.warn("this split leaks: do not report figures measured on it")
    console.result(split_json(made, output), split_text(made, output))


@app.command()
def phantom(
    output: Annotated[Path, typer.Argument(help="Folder to make.", show_default=False)],
    *,
    images: Annotated[int, typer.Option("--images", help="Number of cells.")] = 1200,
    patients: Annotated[int, typer.Option("--patients", help="Number of made patients.")] = 60,
    size: Annotated[int, typer.Option("--size", help="Side of the images in pixels.")] = 128,
    seed: Seed = 0,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Make phantom cells: C-NMC-like images behind which no patient stands."""
    from allnet_edge.data.phantom import write_dataset

    console = Console(as_json=as_json, quiet=quiet)
    with console.progress() as progress:
        write_dataset(output, images, patients, seed, size=size, progress=progress)
    facts = {"output": str(output), "images": images, "patients": patients, "seed": seed}
    console.result(facts, f"{images:,} phantom cells of {patients} made patients in {output}")


def _shares(text: str) -> tuple[float, float, float]:
    from allnet_edge.errors import UsageError

    try:
        train, validation, test = (float(share) for share in text.split(","))
    except ValueError:
        raise UsageError(
            f"--fractions {text} are not three numbers", fix="use for example 0.6,0.2,0.2"
        ) from None
    return train, validation, test


def _only_by_patient(protocol: str, fractions: str | None) -> None:
    from allnet_edge.errors import UsageError

    if protocol != "patient":
        raise UsageError(
            f"--folds deals patients, and the protocol is '{protocol}'",
            fix="use --protocol patient, or leave --folds out",
        )
    if fractions is not None:
        raise UsageError(
            f"--fractions {fractions} and --folds contradict each other: of K folds one tests, one "
            "validates and the others train",
            fix="leave --fractions out",
        )


def _report(report: "DataReport") -> RenderableType:
    verdict = "usable" if report.usable_for_training else "NOT usable: " + report.problems[0]
    counts = Table("class")
    for column in ("images", "patients"):
        counts.add_column(column, justify="right")
    for label, n in report.classes.items():
        patients = f"{report.patients[label]:,}" if label in report.patients else "unknown"
        counts.add_row(label, f"{n:,}", patients)
    return Group(f"{report.layout}: {verdict}", counts, _findings(report), *_unusable(report))


def _findings(report: "DataReport") -> Table:
    facts = Table(show_header=False, box=None)
    facts.add_row("files", f"{report.images:,}, of which usable {report.usable:,}")
    facts.add_row("parts", ", ".join(f"{part} {n:,}" for part, n in report.parts.items()))
    facts.add_row("sizes", ", ".join(f"{size} ({n:,})" for size, n in report.sizes.items()))
    facts.add_row("identical files", _groups(report.duplicates))
    facts.add_row("near-identical images", _groups(report.near_duplicates))
    facts.add_row("patients that share files", _groups(report.merged_patients))
    return facts


def _groups(groups: tuple[tuple[str, ...], ...]) -> str:
    if not groups:
        return "none"
    what = "group" if len(groups) == 1 else "groups"
    return f"{len(groups):,} {what}, first: {' = '.join(groups[0])}"


def _unusable(report: "DataReport") -> list[RenderableType]:
    if not report.unusable:
        return []
    table = Table("unusable file", "why")
    for one in report.unusable[:_SHOWN]:
        table.add_row(one.path, one.why)
    more = len(report.unusable) - _SHOWN
    rest = [f"and {more:,} more; --json lists all of them"] if more > 0 else []
    return [table, *rest]
