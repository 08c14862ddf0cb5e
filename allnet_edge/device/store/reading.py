"""What can be asked of a store; every answer is of one state of the database."""

import sqlite3
from collections.abc import Sequence

from allnet_edge.artifacts.files import sha256_bytes
from allnet_edge.device.fields.counts import FieldCounts
from allnet_edge.device.fields.results import Reason
from allnet_edge.device.store.records import (
    Correction,
    LogEntry,
    NewSlide,
    Order,
    Picture,
    SlideState,
    StoredCell,
    StoredField,
    StoredSlide,
)
from allnet_edge.device.store.rows import (
    CELL_VALUES,
    CELLS,
    FACTS,
    FIELD_VALUES,
    FIELDS,
    NEWEST,
    SLIDES,
    decoded,
    digest,
    to_cell,
    to_correction,
    to_entry,
    to_facts,
    to_field,
    to_slide,
)
from allnet_edge.errors import IntegrityError, UnknownNameError, UsageError

PAGE = 1000
_LARGEST_ID = (1 << 63) - 1


def page(limit: int, offset: int = 0) -> tuple[int, int]:
    """The two bounds of a page.

    Raises:
        UsageError: A limit outside 1..1000, or a negative offset.
    """
    if not 1 <= limit <= PAGE or not 0 <= offset <= _LARGEST_ID:
        raise UsageError(
            f"no page of {limit} rows from row {offset}", fix=f"limit 1..{PAGE}, offset from 0"
        )
    return limit, offset


def _bound(key: int | None) -> int:
    """An id to page by, within what SQLite can hold."""
    return _LARGEST_ID if key is None else max(-1, min(key, _LARGEST_ID))


def one(connection: sqlite3.Connection, query: str, key: int, what: str) -> sqlite3.Row:
    """The row of an id.

    Raises:
        UnknownNameError: There is none.
    """
    known = 0 < key <= _LARGEST_ID
    row = connection.execute(f"{query} = ?", (key,)).fetchone() if known else None
    if row is None:
        raise UnknownNameError(f"this store has no {what} {key}")
    found: sqlite3.Row = row
    return found


def slide(connection: sqlite3.Connection, key: int) -> StoredSlide:
    """A slide."""
    return decoded(to_slide, one(connection, f"{SLIDES} WHERE s.id", key, "slide"))


def facts(connection: sqlite3.Connection, key: int) -> tuple[SlideState, NewSlide]:
    """A slide's state and what it was started with, without counting."""
    row = one(connection, f"SELECT id, state, {FACTS} FROM slides WHERE id", key, "slide")  # noqa: S608
    return row["state"], decoded(to_facts, row)


def slides(connection: sqlite3.Connection, limit: int, before: int | None) -> list[StoredSlide]:
    """The newest first."""
    rows = connection.execute(
        f"{SLIDES} WHERE s.id < ? ORDER BY s.id DESC LIMIT ?",
        (_bound(before), page(limit)[0]),
    )
    return [decoded(to_slide, row) for row in rows]


def field(connection: sqlite3.Connection, key: int) -> StoredField:
    """A field."""
    return decoded(to_field, one(connection, f"{FIELDS} WHERE f.id", key, "field"))


def fields(connection: sqlite3.Connection, key: int, limit: int, after: int) -> list[StoredField]:
    """Fields of a slide, the oldest first."""
    one(connection, "SELECT id FROM slides WHERE id", key, "slide")
    rows = connection.execute(
        f"{FIELDS} WHERE f.slide = ? AND f.id > ? ORDER BY f.id LIMIT ?",
        (key, _bound(after), page(limit)[0]),
    )
    return [decoded(to_field, row) for row in rows]


def cell(connection: sqlite3.Connection, key: int) -> StoredCell:
    """A cell."""
    return decoded(to_cell, one(connection, f"{CELLS} WHERE c.id", key, "cell"))


def cells(
    connection: sqlite3.Connection,
    key: int,
    *,
    order: Order,
    limit: int,
    offset: int,
    after: int | None,
) -> list[StoredCell]:
    """Cells of a slide; ``after`` is the last cell of the page before."""
    one(connection, "SELECT id FROM slides WHERE id", key, "slide")
    where: str = ""
    values: tuple[float, ...] = ()
    if after is not None:
        last = one(connection, "SELECT rank, id FROM cells WHERE id", after, "cell")
        where = "AND (c.rank, c.id) > (?, ?)" if order == "suspicion" else "AND c.id > ?"
        values = (last["rank"], last["id"]) if order == "suspicion" else (last["id"],)
    by = "c.rank, c.id" if order == "suspicion" else "c.id"
    rows = connection.execute(
        f"{CELLS} WHERE c.slide = ? {where} ORDER BY {by} LIMIT ? OFFSET ?",
        (key, *values, *page(limit, offset)),
    )
    return [decoded(to_cell, row) for row in rows]


def cells_of_field(connection: sqlite3.Connection, key: int) -> list[StoredCell]:
    """All cells of a field, in reading order."""
    rows = connection.execute(f"{CELLS} WHERE c.field = ? ORDER BY c.number", (key,))
    return [decoded(to_cell, row) for row in rows]


def corrections(connection: sqlite3.Connection, key: int) -> list[Correction]:
    """All corrections of a cell, the newest last."""
    one(connection, "SELECT id FROM cells WHERE id", key, "cell")
    rows = connection.execute("SELECT * FROM corrections WHERE cell = ? ORDER BY id", (key,))
    return [decoded(to_correction, row) for row in rows]


def log_entries(
    connection: sqlite3.Connection, limit: int, before: int | None, key: int | None
) -> list[LogEntry]:
    """The newest first; of one slide, or all."""
    where, values = ("", ()) if key is None else ("AND slide = ?", (key,))
    rows = connection.execute(
        f"SELECT * FROM log WHERE id < ? {where} ORDER BY id DESC LIMIT ?",  # noqa: S608
        (_bound(before), *values, page(limit)[0]),
    )
    return [decoded(to_entry, row) for row in rows]


def picture(connection: sqlite3.Connection, of: str, key: int) -> Picture | None:
    """The picture of a cell or of a field.

    Raises:
        IntegrityError: Its bytes are not those that were stored.
    """
    one(connection, f"SELECT id FROM {of}s WHERE id", key, of)  # noqa: S608 - cell or field
    where = "cell = ?" if of == "cell" else "field = ? AND cell IS NULL"
    row = connection.execute(
        f"SELECT media_type, sha256, data FROM pictures WHERE {where}",  # noqa: S608
        (key,),
    ).fetchone()
    if row is None:
        return None
    if sha256_bytes(row["data"]) != row["sha256"]:
        raise IntegrityError(f"the picture of {of} {key} is damaged")
    return Picture(row["media_type"], row["data"])


def counts(connection: sqlite3.Connection, key: int, corrected: bool) -> list[FieldCounts]:
    """One for each field, in the order of storing, also for those without a cell."""
    classes = facts(connection, key)[1].classes
    tallies = {
        row["id"]: _Tally(classes, row["reason"])
        for row in connection.execute(
            "SELECT id, reason FROM fields WHERE slide = ? ORDER BY id", (key,)
        )
    }
    said, join = ("k.verdict", NEWEST) if corrected else ("NULL", "")
    label = "k.label" if corrected else "NULL"
    for row in connection.execute(
        f"""SELECT c.field, c.label, c.reason, {said} AS said, {label} AS relabelled,
            count(*) AS n, count(c.stain_distance) AS stained, sum(c.stain_distance) AS distance
            FROM cells c {join} WHERE c.slide = ? GROUP BY 1, 2, 3, 4, 5""",  # noqa: S608
        (key,),
    ):
        tallies[row["field"]].add(row)
    return [tally.counts() for tally in tallies.values()]


class _Tally:
    """Of one field."""

    def __init__(self, classes: Sequence[str], refused: str | None) -> None:
        self._labels = dict.fromkeys(classes, 0)
        self._not_assessed: dict[Reason, int] = {}
        self._stained, self._distance = 0, 0.0
        self._refused = None if refused is None else Reason[refused]

    def add(self, row: sqlite3.Row) -> None:
        """Cells of one label, reason and newest correction."""
        if row["said"] == "not_a_cell":
            return
        self._stained += row["stained"]
        self._distance += row["distance"] or 0.0
        label = row["relabelled"] or (row["label"] if row["reason"] is None else None)
        if label is not None:
            self._labels[label] += row["n"]
        else:
            reason = Reason[row["reason"]]
            self._not_assessed[reason] = self._not_assessed.get(reason, 0) + row["n"]

    def counts(self) -> FieldCounts:
        distance = self._distance / self._stained if self._stained else None
        return FieldCounts(self._labels, self._not_assessed, distance, self._refused)


def refuse_altered(connection: sqlite3.Connection, key: int) -> None:
    """Hold a field and its cells against the digest that was stored with them.

    Raises:
        IntegrityError: A value is not the one that was decided on.
    """
    row = connection.execute(
        f"SELECT digest, {FIELD_VALUES} FROM fields WHERE id = ?",  # noqa: S608
        (key,),
    ).fetchone()
    found = connection.execute(
        f"SELECT {CELL_VALUES} FROM cells WHERE field = ? ORDER BY id",  # noqa: S608
        (key,),
    )
    stored, *values = tuple(row)
    if digest(values, [tuple(one) for one in found]) != stored:
        raise IntegrityError(
            f"field {key} or a cell of it was altered after it was stored",
            fix="the disk is failing, or somebody wrote into the database: trust no figure of it",
        )
