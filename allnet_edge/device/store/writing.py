"""One writer: transactions that are whole, in one order, and on the disk when they return."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from allnet_edge.device.store.connections import in_words
from allnet_edge.device.store.text import program_text
from allnet_edge.errors import UsageError

Clock = Callable[[], datetime]

_BACK = timedelta(seconds=1)  # less than that is a clock being kept right, not set
_KIND_CHARACTERS = 60
_DETAIL_CHARACTERS = 2000


def utc_now() -> datetime:
    """The wall clock, UTC."""
    return datetime.now(timezone.utc)


def iso(moment: datetime) -> str:
    """A moment as it is stored: UTC, microseconds; one without a zone is taken for UTC."""
    zoned = moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment
    return zoned.astimezone(timezone.utc).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True)
class Turn:
    """One write transaction.

    Attributes:
        connection: To write with, until the block ends.
        sequence: One more for each transaction, whatever the wall clock does.
        at: The wall clock as text, UTC.
    """

    connection: sqlite3.Connection
    sequence: int
    at: str

    def insert(self, table: str, row: dict[str, object]) -> int:
        """Add a row; its id."""
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        cursor = self.connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - our own names
            tuple(row.values()),
        )
        return int(cursor.lastrowid or 0)

    def log(self, kind: str, detail: str, slide: int | None = None) -> None:
        """Add a line to the operation log."""
        self.insert(
            "log",
            {
                "sequence": self.sequence,
                "at": self.at,
                "kind": program_text(kind, _KIND_CHARACTERS),
                "detail": program_text(detail, _DETAIL_CHARACTERS),
                "slide": slide,
            },
        )


class Writer:
    """The writing connection, lent to one thread at a time.

    Args:
        connection: Of ``connections.open_writer``.
        path: The database, for messages.
        clock: The wall clock.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._connection, self._path, self._clock = connection, path, clock
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """A transaction; on the disk when the block has ended, gone when it raises.

        Raises:
            StorageError: Disk full or failing, or the database locked by another process; nothing
                of this transaction is kept, and a later one may succeed.
            UsageError: The store is closed.
        """
        with self._lock, in_words(self._path):
            if self._closed:
                raise UsageError("the store is closed", where=self._path)
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._begin()
                self._connection.execute("COMMIT")
            except BaseException:
                # After some errors SQLite has rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection, after the transaction that runs."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def _begin(self) -> Turn:
        sequence, last = self._connection.execute("SELECT sequence, at FROM state").fetchone()
        now = self._clock()
        turn = Turn(self._connection, sequence + 1, iso(now))
        self._connection.execute("UPDATE state SET sequence = ?, at = ?", (turn.sequence, turn.at))
        if last and now < datetime.fromisoformat(last) - _BACK:
            turn.log("clock set back", f"from {last} to {turn.at}; the order is that of the ids")
        return turn
