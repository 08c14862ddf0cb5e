"""``infer --field``: image files as fields of view, told as table, csv or jsonl."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Column, Table

from allnet_edge.cli.console import Console
from allnet_edge.cli.views.field import (
    CELL_COLUMNS,
    cell_rows,
    csv_row,
    decision,
    field_json,
    header,
)

if TYPE_CHECKING:
    from allnet_edge.device.cameras.profile import CameraProfile
    from allnet_edge.device.fields.results import FieldResult
    from allnet_edge.device.session import Session


def infer_fields(
    session: "Session",
    files: Sequence[Path],
    profile: "CameraProfile",
    console: Console,
    form: str,
) -> int:
    """Decide on the cells of each file and print them; the number of usable fields."""
    from allnet_edge.device.fields.assess import FieldAssessor
    from allnet_edge.device.fields.files import assess_files

    bundle, streamed = session.bundle, form != "table" and not console.as_json
    scale, known = profile.scale(bundle.appearance, bundle.sha256)
    with session, console.progress() as progress:
        assessor = FieldAssessor(session, scale=scale, scale_known=known)
        for note in assessor.geometry.notes:
            console.warn(note)
        if streamed and form == "csv":
            console.line(csv_row(CELL_COLUMNS))
        results = []
        progress("fields", 0, len(files))
        for done, result in enumerate(assess_files(assessor, files), start=1):
            progress("fields", done, len(files))
            results.append(result)
            if streamed:
                for line in _lines(result, form):
                    console.line(line)
    if not streamed:
        found = {
            "scale": {"training_px_per_px": scale, "known": known},
            "notes": list(assessor.notes),
            "counts": _counts(results, bundle.manifest.classes),
            "results": [field_json(one) for one in results],
        }
        console.result(header(session) | found, _table(results))
    return sum(one.reason is None for one in results)


def _lines(result: "FieldResult", form: str) -> Iterator[str]:
    if form == "csv":
        yield from map(csv_row, cell_rows(result))
    else:
        yield json.dumps(field_json(result), ensure_ascii=False)


def _counts(results: "Sequence[FieldResult]", classes: Sequence[str]) -> dict[str, object]:
    cells = [cell for one in results for cell in one.cells]
    labels = Counter(cell.label for cell in cells if cell.assessed)
    return {
        "fields": len(results),
        "usable": sum(one.reason is None for one in results),
        "cells": len(cells),
        "assessed": sum(cell.assessed for cell in cells),
        "not_assessed": dict(Counter(cell.reason.name for cell in cells if cell.reason)),
        "labels": {name: labels[name] for name in classes},
    }


def _table(results: "Sequence[FieldResult]") -> Table:
    table = Table(
        Column("field", overflow="fold"), "cell", "x", "y", "probability", "decision", "why"
    )
    for one in results:
        if not one.cells:
            table.add_row(one.name, "", "", "", "", "none", one.detail or "no white cell found")
        for cell in one.cells:
            x0, y0, x1, y1 = cell.box
            probability = "" if cell.probability is None else f"{cell.probability:.3f}"
            middle = (str((x0 + x1) // 2), str((y0 + y1) // 2))
            table.add_row(
                one.name, str(cell.index), *middle, probability, decision(cell), cell.detail
            )
    return table
