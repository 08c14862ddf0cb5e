"""One folder a class, and optionally a table that tells the patient of each image."""

import csv
from pathlib import Path

from allnet_edge.data.importers.listing import Found, Listing, files_in, folders_in
from allnet_edge.errors import DataError

PATIENTS_CSV = "patients.csv"

_COLUMNS = ("path", "patient")


def recognises(root: Path) -> bool:
    """Whether any folder in ``root`` holds files."""
    return any(files_in(folder) for folder in folders_in(root))


def read(root: Path) -> Listing:
    """List ``root/<class>/*``; ``root/patients.csv`` may name the patients.

    That table has the columns ``path`` (relative to ``root``, with ``/``) and ``patient``.

    Raises:
        DataError: The table is unreadable or lacks a column.
    """
    table = root / PATIENTS_CSV
    patients = _read_patients(table) if table.is_file() else {}
    found = tuple(
        Found(path, folder.name, patients.pop(f"{folder.name}/{path.name}", None))
        for folder in folders_in(root)
        for path in files_in(folder)
    )
    notes = (f"{len(patients):,} rows of {table.name} have no image file",) if patients else ()
    return Listing(found, notes)


def _read_patients(table: Path) -> dict[str, str | None]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = list(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read the patients: {error}", where=table) from error
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)} (found: {', '.join(columns) or 'none'})",
            where=table,
            fix=f"the table needs the columns {', '.join(_COLUMNS)}",
        )
    return {row["path"] or "": (row["patient"] or "").strip() or None for row in rows}
