"""Decide on images with a bundle: probability, label, or abstention with its reason."""

import json
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app
from allnet_edge.cli.views.field import csv_row, header
from allnet_edge.cli.views.infer_fields import infer_fields
from allnet_edge.cli.views.scale import MicrometresOption, ProfileOption, profile_of
from allnet_edge.intended import RESEARCH_USE

if TYPE_CHECKING:
    from allnet_edge.device.session import Decision, Session
    from allnet_edge.progress import Progress

UNUSABLE = 9
COLUMNS = ("path", "probability", "label", "abstained", "usable", "reason")

app = verb_app()


class Format(str, Enum):
    """How people or programs read the result, without --json."""

    table = "table"
    csv = "csv"
    jsonl = "jsonl"


@app.command()
def infer(
    *,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    paths: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    form: Annotated[
        Format, typer.Option("--format", help="csv and jsonl are written as they come.")
    ] = Format.table,
    candidate: Annotated[
        str | None, typer.Option(help="Use this candidate, not the bundle's choice.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 9 when any image is unusable.")
    ] = False,
    field: Annotated[
        bool, typer.Option("--field", help="Each image is a field of view: find its white cells.")
    ] = False,
    profile: ProfileOption = None,
    um_per_px: MicrometresOption = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Decide on images with a bundle.

    An image that cannot be read is reported with its reason and the run goes on; the exit code
    is 9 when no image was usable, and with --strict when any was not. With --field, csv has a row
    a cell and jsonl a line a field.
    """
    from allnet_edge.artifacts.bundle import Bundle
    from allnet_edge.device.session import Session, image_files
    from allnet_edge.errors import UsageError

    console = Console(as_json=as_json, quiet=quiet)
    if not field and (profile is not None or um_per_px is not None):
        raise UsageError(
            "a calibration is of a camera's fields", fix="add --field, or leave it out"
        )
    files = image_files(paths)
    session = Session(Bundle.open(bundle), candidate=candidate, threads=threads)
    _announce(console, session)
    if field:
        known = profile_of(profile, um_per_px)
        usable = infer_fields(session, files, known, console, form.value)
        _leave(len(files) - usable, len(files), console, strict=strict)
        return
    with session, console.progress() as progress:
        decided = _with_progress(session.decide_all(files), len(files), progress)
        if as_json or form is Format.table:
            decisions = list(decided)
        else:
            decisions = _stream(decided, form, console)
    if as_json or form is Format.table:
        console.result(_payload(session, decisions), _table(decisions))
    _leave(sum(not one.usable for one in decisions), len(decisions), console, strict=strict)


def _leave(unusable: int, images: int, console: Console, *, strict: bool) -> None:
    if unusable:
        console.warn(f"{unusable} of {images} images could not be used")
    if unusable == images or (strict and unusable):
        raise typer.Exit(UNUSABLE)


def _announce(console: Console, session: "Session") -> None:
    from allnet_edge.device.caveats import caveats

    console.say(RESEARCH_USE)
    for caveat in caveats(session):
        console.warn(caveat)


def _with_progress(
    decisions: "Iterable[Decision]", total: int, progress: "Progress"
) -> "Iterator[Decision]":
    progress("images", 0, total)
    for done, decision in enumerate(decisions, start=1):
        progress("images", done, total)
        yield decision


def _stream(decisions: "Iterable[Decision]", form: Format, console: Console) -> "list[Decision]":
    """Print each decision as it comes, one line each."""
    seen = []
    if form is Format.csv:
        console.line(csv_row(COLUMNS))
    for decision in decisions:
        fields = decision.to_json()
        line = (
            csv_row(fields[name] for name in COLUMNS) if form is Format.csv else json.dumps(fields)
        )
        console.line(line)
        seen.append(decision)
    return seen


def _payload(session: "Session", decisions: "list[Decision]") -> dict[str, object]:
    return header(session) | {
        "counts": {
            "images": len(decisions),
            "usable": sum(one.usable for one in decisions),
            "abstained": sum(one.usable and one.abstained for one in decisions),
            **{
                name: sum(one.label == name and not one.abstained for one in decisions)
                for name in session.bundle.manifest.classes
            },
        },
        "results": [one.to_json() for one in decisions],
    }


def _table(decisions: "list[Decision]") -> Table:
    table = Table(Column("image", overflow="fold"), "probability", "decision", "why")
    for one in decisions:
        probability = "" if one.probability is None else f"{one.probability:.3f}"
        if not one.usable:
            decision = "none"
        elif one.abstained:
            decision = f"abstains ({one.label}?)"
        else:
            decision = str(one.label)
        table.add_row(str(one.path), probability, decision, one.reason)
    return table
