"""SQLite connections: one that writes, a few that read beside it, and SQLite's errors in words."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from allnet_edge.device.store.schema import refuse_foreign
from allnet_edge.errors import AllnetEdgeError, IntegrityError, StorageError, UsageError

IDLE = 4
CHECK_BYTES = 256 << 20
"""Above this size the pages are not all read when a store is opened; ``Store.check`` reads them."""

_DAMAGED = (
    "it was left as it is: copy the folder away, then try `sqlite3 store.sqlite3 .recover` on the "
    "copy; go on in another folder"
)
_AGAIN = "what was acknowledged is kept; the same call may be repeated"


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours; a broken constraint stays what it is, a bug.

    Raises:
        StorageError: Disk full, failing or read-only; or another process keeps the database locked.
        IntegrityError: Damaged, or no database.
    """
    try:
        yield
    except sqlite3.Error as error:
        told = _words(str(error), path)
        if told is None:
            raise
        raise told from error


def _words(message: str, path: Path) -> AllnetEdgeError | None:
    """By SQLite's fixed texts: Python 3.10 hands out no error codes."""
    if "is full" in message:
        return StorageError("the disk is full", where=path, fix=f"free some space; {_AGAIN}")
    if "disk I/O error" in message or "readonly database" in message:
        return StorageError(
            f"the disk cannot be written ({message})",
            where=path,
            fix=f"see whether it is full, read-only or failing; {_AGAIN}",
        )
    if "unable to open database file" in message:
        return StorageError(
            "the database cannot be opened", where=path, fix="look at the disk and the permissions"
        )
    if "is locked" in message:
        return StorageError(
            "another program keeps the database locked",
            where=path,
            fix=f"end its transaction; {_AGAIN}",
        )
    if "malformed" in message or "not a database" in message:
        return IntegrityError(f"the database is damaged: {message}", where=path, fix=_DAMAGED)
    return None


def inspect(path: Path, busy_s: float) -> None:
    """Look at a database without changing a byte of it, if there is one.

    Raises:
        IntegrityError: Damaged, no database, another program's, or a newer program's.
        StorageError: It cannot be read.
    """
    log = path.with_name(f"{path.name}-wal")
    size = path.stat().st_size if path.exists() else 0
    if size == 0:
        # SQLite would take an emptied file for a new one, and drop the log with what it holds.
        if log.exists() and log.stat().st_size:
            raise IntegrityError(
                "the database is empty beside a write-ahead log", where=path, fix=_DAMAGED
            )
        return
    with in_words(path), closing(_connect(path, "ro", busy_s)) as connection:
        refuse_foreign(connection, path)
        if size <= CHECK_BYTES:
            refuse_damaged(connection, path, "quick_check")


def refuse_damaged(connection: sqlite3.Connection, path: Path, check: str) -> None:
    """Run ``quick_check`` or ``integrity_check``.

    Raises:
        IntegrityError: With the first thing that is wrong.
    """
    found = connection.execute(f"PRAGMA {check}(1)").fetchone()[0]
    if found != "ok":
        first = " ".join(str(found).split())
        raise IntegrityError(f"the database is damaged: {first}", where=path, fix=_DAMAGED)


def open_writer(path: Path, busy_s: float) -> sqlite3.Connection:
    """The one connection that writes: each commit is on the disk when it returns.

    Raises:
        StorageError: No write-ahead log on this file system, or another process in the way.
    """
    connection = _connect(path, "rwc", busy_s)
    try:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StorageError(
                f"this file system cannot hold a write-ahead log (SQLite says {mode!r})",
                where=path,
                fix="choose a folder on a local disk",
            )
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "recursive_triggers = ON"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str, busy_s: float) -> sqlite3.Connection:
    """``timeout`` is SQLite's busy_timeout; transactions are begun and ended by us alone."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,  # each is used by one thread at a time: a lock, or a pool
    )
    connection.row_factory = sqlite3.Row
    return connection


class Readers:
    """Connections that read beside the writer, lent to one thread each, ``IDLE`` kept for the next.

    In WAL mode a reader sees the last commit before it began, and neither waits for the writer nor
    makes it wait. Nor does it wait for a place: where places are few, busy readers starve others.
    """

    def __init__(self, path: Path, busy_s: float) -> None:
        self._path, self._busy_s = path, busy_s
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the database until the block ends.

        Raises:
            UsageError: The store is closed.
        """
        with in_words(self._path):
            connection = self._take()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._give(connection)

    def close(self) -> None:
        """Close those that are idle; one in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise UsageError("the store is closed", where=self._path)
            if self._idle:
                return self._idle.pop()
        return _connect(self._path, "ro", self._busy_s)

    def _give(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < IDLE:
                self._idle.append(connection)
                return
        connection.close()
