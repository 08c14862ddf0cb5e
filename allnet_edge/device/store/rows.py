"""Between what the store is handed, rows of the database, and what it gives back."""

import json
import math
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from allnet_edge.artifacts.files import sha256_bytes
from allnet_edge.device.fields.results import CellResult, FieldResult, Reason
from allnet_edge.device.store.records import (
    Correction,
    LogEntry,
    NewSlide,
    StoredCell,
    StoredField,
    StoredSlide,
)
from allnet_edge.device.store.text import program_text
from allnet_edge.device.store.writing import iso
from allnet_edge.errors import IntegrityError, UsageError, first_line

Row = dict[str, object]
Record = TypeVar("Record")

_TEXT = 500
_NOT_ASSESSED, _NOT_RUN = 2.0, 3.0  # ranks behind every assessed cell, whose rank is -1..0

FACTS: Final = (
    "name, bundle, bundle_sha256, candidate, verdict, model, classes, positive, phantom, source, "
    "scale, scale_known, versions, threshold, shadow"
)
FIELD_VALUES: Final = (
    "number, name, taken, elapsed_ns, width, height, reason, detail, spans_ns, cells"
)
CELL_VALUES: Final = (
    "number, x0, y0, x1, y1, outline, label, probability, reason, detail, shadow, stain_distance"
)

SLIDES: Final = f"""SELECT s.id, s.state, s.started, s.ended, s.why, s.duration_ns, {FACTS},
    (SELECT count(*) FROM fields WHERE slide = s.id) AS field_count,
    (SELECT count(*) FROM cells WHERE slide = s.id) AS cell_count,
    (SELECT count(*) FROM cells WHERE slide = s.id AND rank <= 0) AS assessed_count,
    (SELECT count(DISTINCT cell) FROM corrections WHERE slide = s.id) AS corrected_count
    FROM slides s"""  # noqa: S608 - our own names

FIELDS: Final = """SELECT f.*,
    EXISTS (SELECT 1 FROM pictures WHERE field = f.id AND cell IS NULL) AS pictured
    FROM fields f"""

_CELL: Final = """SELECT c.*, k.id AS k_id, k.at AS k_at, k.verdict AS k_verdict,
    k.label AS k_label, EXISTS (SELECT 1 FROM pictures WHERE cell = c.id) AS pictured
    FROM cells c"""

NEWEST: Final = (
    "LEFT JOIN corrections k ON k.id = (SELECT max(id) FROM corrections WHERE cell = c.id)"
)
"""Joins each cell ``c`` with the correction of it that counts."""

CELLS: Final = f"{_CELL} {NEWEST}"

CELLS_AS_OF: Final = f"{_CELL} " + NEWEST.replace("c.id)", "c.id AND id <= ?)")
"""Likewise, without corrections that were made after the one named."""


def compact(value: object) -> str:
    """JSON without blanks, as it lies in a column."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def slide_row(facts: NewSlide) -> Row:
    """The columns of ``FACTS``."""
    return {
        "name": facts.name,
        "bundle": program_text(facts.bundle, _TEXT),
        "bundle_sha256": program_text(facts.bundle_sha256, _TEXT),
        "candidate": program_text(facts.candidate, _TEXT),
        "verdict": facts.verdict,
        "model": program_text(facts.model, _TEXT),
        "classes": compact(list(facts.classes)),
        "positive": facts.positive,
        "phantom": int(facts.phantom),
        "source": program_text(facts.source, _TEXT),
        "scale": float(facts.scale),
        "scale_known": program_text(facts.scale_known, _TEXT),
        "versions": compact(dict(facts.versions)),
        "threshold": None if facts.threshold is None else float(facts.threshold),
        "shadow": facts.shadow,
    }


def field_row(result: FieldResult, elapsed_ns: int) -> Row:
    """The columns of ``FIELD_VALUES``."""
    return {
        "number": int(result.number),
        "name": program_text(result.name, _TEXT),
        "taken": iso(result.taken),
        "elapsed_ns": elapsed_ns,
        "width": int(result.width),
        "height": int(result.height),
        "reason": None if result.reason is None else result.reason.name,
        "detail": program_text(result.detail, _TEXT),
        "spans_ns": compact({name: int(ns) for name, ns in result.spans_ns.items()}),
        "cells": len(result.cells),
    }


def cell_row(cell: CellResult, classes: Sequence[str]) -> Row:
    """The columns of ``CELL_VALUES``.

    Raises:
        IntegrityError: A figure that is none, a label that is no class, or an assessed cell
            without a decision.
    """
    if (cell.label is not None and cell.label not in classes) or (
        cell.assessed and (cell.label is None or cell.probability is None)
    ):
        raise IntegrityError(
            f"cell {cell.index} has the label {cell.label!r} with probability {cell.probability}; "
            f"the slide's classes are {list(classes)}"
        )
    x0, y0, x1, y1 = (int(value) for value in cell.box)
    return {
        "number": int(cell.index),
        "x0": x0,
        "y0": y0,
        "x1": x1,
        "y1": y1,
        "outline": compact([[int(x), int(y)] for x, y in cell.outline]),
        "label": cell.label,
        "probability": _figure(cell.probability, 1.0),
        "reason": None if cell.reason is None else cell.reason.name,
        "detail": program_text(cell.detail, _TEXT),
        "shadow": _figure(cell.shadow, 1.0),
        "stain_distance": _figure(cell.stain_distance, math.inf),
    }


def _figure(value: float | None, most: float) -> float | None:
    if value is None:
        return None
    if not (math.isfinite(value) and 0 <= value <= most):
        raise IntegrityError(
            f"{value} is no figure between 0 and {most}",
            fix="run `allnet-edge verify` on the bundle",
        )
    return float(value) + 0.0  # SQLite keeps no negative zero


def rank(cell: CellResult, positive: str | None, classes: Sequence[str]) -> float:
    """Where a cell stands in the gallery: the smaller, the earlier.

    Assessed cells come first, the most suspicious ahead; then those that were run and not assessed
    (an uncertain one, say) in the same order; then those that were not run. With two classes the
    suspicion is the probability of the positive class. With more, only the probability of the label
    is known: suspicious are cells of the positive class that are surely so, and cells of another
    class that are not surely so. Without a positive class it is how unsure the network is.
    """
    if cell.probability is None:
        return _NOT_RUN
    suspicion = float(cell.probability)
    if len(classes) > 2 and (positive is None or cell.label != positive):
        suspicion = 1 - suspicion
    return (0.0 if cell.assessed else _NOT_ASSESSED) - suspicion


def digest(field: Sequence[object], cells: Sequence[Sequence[object]]) -> str:
    """SHA-256 over what was decided about one field, as ``FIELD_VALUES`` and ``CELL_VALUES``.

    SQLite guards its pages' structure, not the values in them; this does.
    """
    return sha256_bytes(compact([list(field), [list(cell) for cell in cells]]).encode())


def to_facts(row: sqlite3.Row) -> NewSlide:
    """From the columns of ``FACTS``."""
    return NewSlide(
        name=row["name"],
        bundle=row["bundle"],
        bundle_sha256=row["bundle_sha256"],
        candidate=row["candidate"],
        verdict=row["verdict"],
        model=row["model"],
        classes=tuple(json.loads(row["classes"])),
        positive=row["positive"],
        phantom=bool(row["phantom"]),
        source=row["source"],
        scale=row["scale"],
        scale_known=row["scale_known"],
        versions=json.loads(row["versions"]),
        threshold=row["threshold"],
        shadow=row["shadow"],
    )


def to_slide(row: sqlite3.Row) -> StoredSlide:
    """From a row of ``SLIDES``."""
    nanoseconds = row["duration_ns"]
    return StoredSlide(
        id=row["id"],
        facts=to_facts(row),
        state=row["state"],
        started=datetime.fromisoformat(row["started"]),
        ended=None if row["ended"] is None else datetime.fromisoformat(row["ended"]),
        why=row["why"],
        duration_s=None if nanoseconds is None else nanoseconds / 1e9,
        fields=row["field_count"],
        cells=row["cell_count"],
        assessed=row["assessed_count"],
        corrected=row["corrected_count"],
    )


def to_field(row: sqlite3.Row) -> StoredField:
    """From a row of ``FIELDS``."""
    return StoredField(
        id=row["id"],
        slide=row["slide"],
        number=row["number"],
        name=row["name"],
        taken=datetime.fromisoformat(row["taken"]),
        stored=datetime.fromisoformat(row["stored"]),
        elapsed_s=row["elapsed_ns"] / 1e9,
        width=row["width"],
        height=row["height"],
        reason=_reason(row["reason"]),
        detail=row["detail"],
        spans_ns=json.loads(row["spans_ns"]),
        cells=row["cells"],
        picture=bool(row["pictured"]),
    )


def to_cell(row: sqlite3.Row) -> StoredCell:
    """From a row of ``CELLS``."""
    return StoredCell(
        id=row["id"],
        slide=row["slide"],
        field=row["field"],
        index=row["number"],
        box=(row["x0"], row["y0"], row["x1"], row["y1"]),
        outline=tuple((int(x), int(y)) for x, y in json.loads(row["outline"])),
        label=row["label"],
        probability=row["probability"],
        reason=_reason(row["reason"]),
        detail=row["detail"],
        shadow=row["shadow"],
        stain_distance=row["stain_distance"],
        correction=None
        if row["k_id"] is None
        else Correction(
            id=row["k_id"],
            cell=row["id"],
            at=datetime.fromisoformat(row["k_at"]),
            verdict=row["k_verdict"],
            label=row["k_label"],
        ),
        picture=bool(row["pictured"]),
    )


def to_correction(row: sqlite3.Row) -> Correction:
    """From a row of ``corrections``."""
    return Correction(
        id=row["id"],
        cell=row["cell"],
        at=datetime.fromisoformat(row["at"]),
        verdict=row["verdict"],
        label=row["label"],
    )


def to_entry(row: sqlite3.Row) -> LogEntry:
    """From a row of ``log``."""
    return LogEntry(
        id=row["id"],
        at=datetime.fromisoformat(row["at"]),
        kind=row["kind"],
        detail=row["detail"],
        slide=row["slide"],
    )


def decoded(make: Callable[[sqlite3.Row], Record], row: sqlite3.Row) -> Record:
    """A row in its type.

    Raises:
        IntegrityError: The row holds what no version of this program wrote.
    """
    try:
        return make(row)
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise IntegrityError(
            f"a row of the store cannot be read: {first_line(error)}",
            where=f"row {row['id']}",
            fix="see `Store.check`; the database was left as it is",
        ) from error


def _reason(name: str | None) -> Reason | None:
    return None if name is None else Reason[name]
