"""The tables, and the road from one version of them to the next.

Fields, cells (each with its decision), corrections, pictures and the log are append-only: triggers
refuse to change or to remove a row, and to replace one by inserting its id again. Of a slide only
its end is written later, once.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from allnet_edge.errors import IntegrityError

APPLICATION_ID = 0x414C4E45
"""Tells our databases from others' (``PRAGMA application_id``); "ALNE"."""

_TABLES = (
    """CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        sequence INTEGER NOT NULL,
        at TEXT NOT NULL)""",
    """CREATE TABLE slides (
        id INTEGER PRIMARY KEY,
        sequence INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('running', 'ended', 'interrupted')),
        started TEXT NOT NULL,
        ended TEXT,
        why TEXT NOT NULL DEFAULT '',
        duration_ns INTEGER,
        name TEXT NOT NULL CHECK (length(name) <= 120),
        bundle TEXT NOT NULL,
        bundle_sha256 TEXT NOT NULL,
        candidate TEXT NOT NULL,
        verdict TEXT,
        model TEXT NOT NULL,
        classes TEXT NOT NULL,
        positive TEXT,
        phantom INTEGER NOT NULL CHECK (phantom IN (0, 1)),
        source TEXT NOT NULL,
        scale REAL NOT NULL CHECK (scale > 0),
        scale_known TEXT NOT NULL,
        versions TEXT NOT NULL,
        threshold REAL,
        shadow TEXT)""",
    """CREATE TABLE fields (
        id INTEGER PRIMARY KEY,
        sequence INTEGER NOT NULL,
        slide INTEGER NOT NULL REFERENCES slides (id),
        number INTEGER NOT NULL,
        name TEXT NOT NULL,
        taken TEXT NOT NULL,
        stored TEXT NOT NULL,
        elapsed_ns INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        reason TEXT,
        detail TEXT NOT NULL,
        spans_ns TEXT NOT NULL,
        cells INTEGER NOT NULL,
        digest TEXT NOT NULL)""",
    "CREATE INDEX fields_of_slide ON fields (slide, id)",
    """CREATE TABLE cells (
        id INTEGER PRIMARY KEY,
        slide INTEGER NOT NULL REFERENCES slides (id),
        field INTEGER NOT NULL REFERENCES fields (id),
        number INTEGER NOT NULL,
        x0 INTEGER NOT NULL,
        y0 INTEGER NOT NULL,
        x1 INTEGER NOT NULL,
        y1 INTEGER NOT NULL,
        outline TEXT NOT NULL,
        label TEXT,
        probability REAL CHECK (probability BETWEEN 0 AND 1),
        reason TEXT,
        detail TEXT NOT NULL,
        shadow REAL CHECK (shadow BETWEEN 0 AND 1),
        stain_distance REAL CHECK (stain_distance >= 0),
        rank REAL NOT NULL,
        UNIQUE (field, number))""",
    "CREATE INDEX cells_by_rank ON cells (slide, rank, id)",
    "CREATE INDEX cells_by_time ON cells (slide, id)",
    """CREATE TABLE corrections (
        id INTEGER PRIMARY KEY,
        sequence INTEGER NOT NULL,
        slide INTEGER NOT NULL REFERENCES slides (id),
        cell INTEGER NOT NULL REFERENCES cells (id),
        at TEXT NOT NULL,
        verdict TEXT NOT NULL CHECK (verdict IN ('agree', 'disagree', 'not_a_cell')),
        label TEXT CHECK ((label IS NOT NULL) = (verdict = 'disagree')))""",
    "CREATE INDEX corrections_of_cell ON corrections (cell, id)",
    "CREATE INDEX corrections_of_slide ON corrections (slide, cell)",
    """CREATE TABLE pictures (
        id INTEGER PRIMARY KEY,
        field INTEGER NOT NULL REFERENCES fields (id),
        cell INTEGER REFERENCES cells (id),
        media_type TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX pictures_of_cell ON pictures (cell) WHERE cell IS NOT NULL",
    "CREATE UNIQUE INDEX pictures_of_field ON pictures (field) WHERE cell IS NULL",
    """CREATE TABLE log (
        id INTEGER PRIMARY KEY,
        sequence INTEGER NOT NULL,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL,
        slide INTEGER REFERENCES slides (id))""",
    "CREATE INDEX log_of_slide ON log (slide, id)",
    "INSERT INTO state VALUES (1, 0, '')",
)


def _append_only(table: str) -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    return (
        f"CREATE TRIGGER {table}_keeps BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_stays BEFORE DELETE ON {table} {refuse}",
        # INSERT OR REPLACE would remove a row without asking the trigger above.
        f"""CREATE TRIGGER {table}_adds BEFORE INSERT ON {table}
        WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id) {refuse}""",  # noqa: S608
    )


_SLIDE_TRIGGERS = (
    """CREATE TRIGGER slides_stays BEFORE DELETE ON slides
        BEGIN SELECT RAISE(ABORT, 'slides is append-only'); END""",
    """CREATE TRIGGER slides_end_once BEFORE UPDATE ON slides
        WHEN OLD.state <> 'running'
        BEGIN SELECT RAISE(ABORT, 'a slide ends once'); END""",
    """CREATE TRIGGER slides_keep BEFORE UPDATE OF id, sequence, started, name, bundle,
        bundle_sha256, candidate, verdict, model, classes, positive, phantom, source, scale,
        scale_known, versions, threshold, shadow ON slides
        BEGIN SELECT RAISE(ABORT, 'only the end of a slide is written later'); END""",
)

STEPS: tuple[tuple[str, ...], ...] = (
    (
        *_TABLES,
        *_SLIDE_TRIGGERS,
        *(
            statement
            for table in ("fields", "cells", "corrections", "pictures", "log")
            for statement in _append_only(table)
        ),
    ),
)
"""``STEPS[n]`` takes a database of version n to version n + 1; version 0 is an empty file. A step
that was released is never changed: another one is added."""


def version_of(connection: sqlite3.Connection) -> int:
    """The schema number of a database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_foreign(
    connection: sqlite3.Connection, path: Path, steps: Sequence[Sequence[str]] = STEPS
) -> None:
    """Let only our databases pass, and none of a newer program.

    Raises:
        IntegrityError: Another program's database, or a schema that this program does not know.
    """
    version = version_of(connection)
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if application != APPLICATION_ID and (tables or version or application):
        raise IntegrityError(
            "this is the database of another program; it was left as it is",
            where=path,
            fix="choose another folder for the store",
        )
    if version > len(steps):
        raise IntegrityError(
            f"the store has schema {version}, this program knows {len(steps)}; it was left alone",
            where=path,
            fix="update allnet-edge on this machine, or choose another folder for the store",
        )


def migrate(connection: sqlite3.Connection, steps: Sequence[Sequence[str]] = STEPS) -> int:
    """Bring a database to the newest schema, whole or not at all; its version before."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        before = version_of(connection)
        for step in steps[before:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return before
