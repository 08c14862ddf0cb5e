"""One field of view as plain data, and the cells of fields as rows."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from allnet_edge.device.fields.results import CellResult, FieldResult
    from allnet_edge.device.session import Session

CELL_COLUMNS = (
    "path", "cell", "x0", "y0", "x1", "y1", "label", "probability", "assessed", "reason", "detail",
    "stain_distance",
)  # fmt: skip


def header(session: "Session") -> dict[str, object]:
    """Who decides, and how."""
    manifest = session.bundle.manifest
    return {
        "bundle": manifest.name,
        "model": manifest.model,
        "classes": list(manifest.classes),
        "positive": manifest.positive,
        "phantom": manifest.phantom,
        "candidate": session.candidate.model_dump(
            mode="json", include={"id", "engine", "precision", "verdict"}
        ),
        "threshold": session.threshold.model_dump(mode="json"),
        "note": session.note,
        "research_use_only": True,
    }


def field_json(result: "FieldResult", ids: Sequence[int] | None = None) -> dict[str, object]:
    """A field with its cells; ``ids`` are those of the store."""
    return {
        "path": result.name,
        "number": result.number,
        "taken": result.taken.isoformat(),
        "width": result.width,
        "height": result.height,
        "usable": result.reason is None,
        "reason": None if result.reason is None else result.reason.name,
        "detail": result.detail,
        "cells": [
            _cell_json(cell) | ({} if ids is None else {"id": ids[n]})
            for n, cell in enumerate(result.cells)
        ],
        "spans_ms": {name: ns / 1e6 for name, ns in result.spans_ns.items()},
    }


def _cell_json(cell: "CellResult") -> dict[str, object]:
    return {
        "cell": cell.index,
        "box": list(cell.box),
        "outline": [list(point) for point in cell.outline],
        "label": cell.label,
        "probability": cell.probability,
        "assessed": cell.assessed,
        "reason": None if cell.reason is None else cell.reason.name,
        "detail": cell.detail,
        "shadow": cell.shadow,
        "stain_distance": cell.stain_distance,
    }


def csv_row(values: Iterable[object]) -> str:
    """One line, without its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def cell_rows(result: "FieldResult") -> Iterator[tuple[object, ...]]:
    """A row a cell in ``CELL_COLUMNS``; of a field without cells one row that says why."""
    if not result.cells:
        empty = (None,) * 7
        reason = "" if result.reason is None else result.reason.name
        detail = result.detail or "no white cell found"
        yield (result.name, *empty, False, reason, detail, None)
    for cell in result.cells:
        reason = "" if cell.reason is None else cell.reason.name
        yield (
            result.name, cell.index, *cell.box, cell.label, cell.probability, cell.assessed,
            reason, cell.detail, cell.stain_distance,
        )  # fmt: skip


def decision(cell: "CellResult") -> str:
    """In a word or two."""
    if cell.assessed:
        return str(cell.label)
    return "not assessed" if cell.label is None else f"not assessed ({cell.label}?)"
