"""A slide as a CSV or JSON file: what was said about each cell, and by what.

Both say that they are for research only, and name the bundle by its hash, the scale and how it is
known, the versions, and every correction. Times are UTC.
"""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TextIO

from allnet_edge import __version__
from allnet_edge.artifacts.files import sync_folder, temporary_name
from allnet_edge.device.store.extract import Extract
from allnet_edge.device.store.folder import os_error_in_words
from allnet_edge.device.store.records import StoredCell, StoredField, StoredSlide
from allnet_edge.device.store.store import Store
from allnet_edge.device.store.writing import iso, utc_now
from allnet_edge.intended import RESEARCH_USE

FORMAT = 1
COLUMNS: Final = (
    "field", "frame", "file", "taken", "stored", "field_reason", "field_detail",
    "cell", "index", "x0", "y0", "x1", "y1", "label", "probability", "reason", "detail", "shadow",
    "stain_distance", "correction", "corrected_label", "corrected", "counts_as",
)  # fmt: skip

PHANTOM = "The network was trained on phantom (synthetic) cells: it knows nothing about real ones."
NOT_CALIBRATED = (
    "The scale is not calibrated: cells may have another size than those the network knows."
)
MATCHED = "The scale was matched by cell size: the size of a cell tells the network nothing."

# A spreadsheet takes a cell for a formula that begins so, also behind a separator where it expects
# another one than the comma; the wide forms are what some of them fold to the plain ones.
_FORMULA = re.compile("((?:^|[;|])\\s*)(?=[=+\\-@'\uff1d\uff0b\uff0d\uff20])")


def write_csv(store: Store, slide: int, target: Path | TextIO) -> None:
    """Write a slide as CSV; a file appears whole or not at all.

    Raises:
        UnknownNameError: No such slide.
        IntegrityError: A field was altered since it was stored; nothing is exported then.
        OutputDirError: The file cannot be written there.
        StorageError: No room for it.
    """
    _write(csv_chunks(store, slide), target)


def write_json(store: Store, slide: int, target: Path | TextIO) -> None:
    """Write a slide as one JSON object; raises as ``write_csv``."""
    _write(json_chunks(store, slide), target)


def csv_chunks(store: Store, slide: int) -> Iterator[str]:
    """The same CSV piece by piece, for a response: the state is that of the call.

    First rows that begin with ``#``: what the slide is. Then a row of names, then a row for each
    cell, and one for each field without cells. Text that a spreadsheet would take for a formula has
    an apostrophe before it.
    """
    return _csv(store.extract(slide))


def json_chunks(store: Store, slide: int) -> Iterator[str]:
    """The same JSON piece by piece, for a response: the state is that of the call."""
    return _json(store.extract(slide))


def spreadsheet_text(text: str) -> str:
    """Text that no spreadsheet runs: an apostrophe before what would begin a formula.

    It is put before an apostrophe in that place too, so that leaving out one there gives the text.
    """
    return _FORMULA.sub(r"\1'", text)


def notes(slide: StoredSlide) -> list[str]:
    """What has to be said beside every figure of a slide."""
    known = {"not calibrated": NOT_CALIBRATED, "matched by cell size": MATCHED}
    said = [RESEARCH_USE]
    if slide.facts.phantom:
        said.append(PHANTOM)
    if slide.facts.scale_known in known:
        said.append(known[slide.facts.scale_known])
    if slide.facts.verdict != "pass":
        said.append(f"The candidate did not pass its gate: {slide.facts.verdict or 'no verdict'}.")
    if slide.state == "interrupted":
        said.append("The slide was interrupted: the program ended without ending it.")
    return said


def _csv(extract: Extract) -> Iterator[str]:
    yield _rows([f"# {note}"] for note in notes(extract.slide))
    yield _rows(_about(extract.slide))
    yield _rows([COLUMNS])
    for field, cells in extract.fields():
        found: list[StoredCell | None] = [*cells] or [None]
        yield _rows([*_of_field(field), *_of_cell(cell)] for cell in found)


def _about(slide: StoredSlide) -> Iterator[list[object]]:
    facts = slide.to_json()
    versions, classes = slide.facts.versions, slide.facts.classes
    facts["classes"] = ", ".join(classes)
    del facts["versions"]
    for name, value in facts.items():
        yield [f"# {name}", value]
    for name, version in versions.items():
        yield ["# version", name, version]
    yield ["# exported", iso(utc_now()), __version__]


def _of_field(field: StoredField) -> list[object]:
    reason = None if field.reason is None else field.reason.name
    taken, stored = field.taken.isoformat(), field.stored.isoformat()
    return [field.id, field.number, field.name, taken, stored, reason, field.detail]


def _of_cell(cell: StoredCell | None) -> list[object]:
    if cell is None:
        return [None] * (len(COLUMNS) - 7)
    said = cell.correction
    return [
        cell.id,
        cell.index,
        *cell.box,
        cell.label,
        cell.probability,
        None if cell.reason is None else cell.reason.name,
        cell.detail,
        cell.shadow,
        cell.stain_distance,
        None if said is None else said.verdict,
        None if said is None else said.label,
        None if said is None else said.at.isoformat(),
        cell.counts_as,
    ]


def _rows(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # RFC 4180
    for row in rows:
        writer.writerow(
            spreadsheet_text(value) if isinstance(value, str) else value for value in row
        )
    return text.getvalue()


def _json(extract: Extract) -> Iterator[str]:
    """Written by hand around its list of fields, so that no slide has to fit into memory."""
    head = {
        "format": FORMAT,
        "research_use_only": True,
        "notes": notes(extract.slide),
        "exported": iso(utc_now()),
        "exported_by": f"allnet-edge {__version__}",
        "slide": extract.slide.to_json(),
        "corrections": [one.to_json() for one in extract.corrections()],
    }
    yield _dumps(head)[:-1] + ', "fields": ['
    before = "\n"
    for field, cells in extract.fields():
        yield before + _dumps({**field.to_json(), "cells": [cell.to_json() for cell in cells]})
        before = ",\n"
    yield "\n]}\n"


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _write(chunks: Iterator[str], target: Path | TextIO) -> None:
    if isinstance(target, Path):
        _in_words(lambda: _write_file(chunks, target), target)
    else:
        target.writelines(chunks)


def _in_words(write: Callable[[], None], target: Path) -> None:
    try:
        write()
    except OSError as error:
        raise os_error_in_words(error, target) from error


def _write_file(chunks: Iterator[str], target: Path) -> None:
    temporary = temporary_name(target)
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.writelines(chunks)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
