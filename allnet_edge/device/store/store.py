"""The store: everything that is said about slides, on the disk before it is acknowledged."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from allnet_edge.artifacts.files import sync_folder
from allnet_edge.device.fields.counts import FieldCounts
from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.store import adding, reading
from allnet_edge.device.store.connections import (
    Readers,
    in_words,
    inspect,
    open_writer,
    refuse_damaged,
)
from allnet_edge.device.store.extract import Extract
from allnet_edge.device.store.folder import DATABASE, take
from allnet_edge.device.store.records import (
    Correction,
    LogEntry,
    NewSlide,
    OperatorVerdict,
    Order,
    Picture,
    StoredCell,
    StoredField,
    StoredSlide,
)
from allnet_edge.device.store.rows import slide_row
from allnet_edge.device.store.schema import STEPS, migrate
from allnet_edge.device.store.text import operator_text
from allnet_edge.device.store.writing import Clock, Turn, Writer, utc_now
from allnet_edge.errors import StorageError, UsageError

WHY_CHARACTERS = 200


class Store:
    """Slides, fields, cells with their decisions, corrections, pictures and a log.

    Open it with ``Store.open``, use it as a context manager. Safe to use from many threads: writes
    take turns, reads go on beside them. When a method that writes returns, what it wrote is on the
    disk and outlives a kill or a power cut; when it raises, nothing of it is kept.

    Every method that writes raises StorageError (disk full or failing, database locked by another
    process) and may be called again later; every one that reads raises IntegrityError for what is
    damaged. A slide, field or cell that does not exist is an UnknownNameError.

    Attributes:
        folder: Where it lies.
        path: The database in it.
    """

    def __init__(
        self, folder: Path, lock: int, writer: Writer, readers: Readers, clock_ns: Callable[[], int]
    ) -> None:
        self.folder, self.path = folder, folder / DATABASE
        self._lock, self._writer, self._readers = lock, writer, readers
        self._clock_ns = clock_ns
        self._began_ns: dict[int, int] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        busy_s: float = 5.0,
        clock: Clock = utc_now,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> "Store":
        """Open the store in a folder, or make one there; slides left running are ``interrupted``.

        Args:
            folder: It and the folders above are made where they are absent.
            busy_s: How long to wait for another process's transaction, seconds.
            clock: The wall clock, which people see and which may jump.
            clock_ns: A clock that is never set, nanoseconds.

        Raises:
            OutputDirError: Not a folder, not writable, or another process has this store open.
            StorageError: The disk is full or failing, or the database is locked.
            IntegrityError: The database is damaged, is none, is another program's, or was written
                by a newer version; it is left as it is.
        """
        lock = take(folder)
        try:
            path = folder / DATABASE
            inspect(path, busy_s)
            with in_words(path):
                connection = open_writer(path, busy_s)
                try:
                    before = migrate(connection)
                except BaseException:
                    connection.close()
                    raise
            sync_folder(folder)
            store = cls(
                folder, lock, Writer(connection, path, clock), Readers(path, busy_s), clock_ns
            )
        except BaseException:
            os.close(lock)
            raise
        try:
            store._announce(before)
        except BaseException:
            store._release()
            raise
        return store

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the folder; a slide that still runs is marked when the store is opened again."""
        # All that was acknowledged is on the disk: a full one must not turn the end into an error.
        with suppress(StorageError, UsageError):
            self.log("closed", "")
        self._release()

    def start_slide(self, facts: NewSlide) -> int:
        """Begin a slide; its id."""
        with self._writer.turn() as turn:
            slide = turn.insert(
                "slides",
                {
                    "sequence": turn.sequence,
                    "state": "running",
                    "started": turn.at,
                    **slide_row(facts),
                },
            )
            turn.log("slide started", facts.name, slide)
            self._began_ns[slide] = self._clock_ns()
        return slide

    def add_field(
        self,
        slide: int,
        result: FieldResult,
        *,
        picture: bytes | None = None,
        cell_pictures: Mapping[int, bytes] | None = None,
    ) -> list[int]:
        """Add a field with all its cells, whole or not at all.

        Args:
            slide: Of a running slide.
            result: ``CellResult.picture`` is not stored.
            picture: A PNG or JPEG file of the field, only where pictures are to be kept.
            cell_pictures: Likewise of cells, by ``CellResult.index``.

        Returns:
            The ids of the cells, in their order; all on the disk.

        Raises:
            UsageError: The slide is over, or a picture that is none.
            IntegrityError: A label that is no class of the slide, or a figure that is none.
        """
        with self._writer.turn() as turn:
            facts = self._running(turn, slide)
            elapsed_ns = self._elapsed_ns(slide)
            field, ids = adding.add_field(turn, slide, facts, result, elapsed_ns)
            adding.add_pictures(
                turn, field, result, ids, picture=picture, cell_pictures=cell_pictures or {}
            )
        return ids

    def correct(self, cell: int, verdict: OperatorVerdict, label: str | None = None) -> None:
        """Add the operator's word on a cell; the newest one counts, the others stay.

        Args:
            cell: Its id; its slide may run or be over.
            verdict: ``disagree`` gives the cell another class.
            label: That class; with two classes it may be left out for a cell that has a label. None
                with the other verdicts.

        Raises:
            UsageError: A class that the slide has not, or that the cell has already; none where one
                is needed; one where none is.
        """
        with self._writer.turn() as turn:
            adding.add_correction(turn, cell, verdict, label)

    def end_slide(self, slide: int, why: str) -> None:
        """End a running slide, with the reason for people.

        Raises:
            UsageError: It is over already.
        """
        why = operator_text(why, "reason", WHY_CHARACTERS)
        with self._writer.turn() as turn:
            self._running(turn, slide)
            turn.connection.execute(
                "UPDATE slides SET state = 'ended', ended = ?, why = ?, duration_ns = ? "
                "WHERE id = ?",
                (turn.at, why, self._elapsed_ns(slide), slide),
            )
            turn.log("slide ended", why, slide)
        self._began_ns.pop(slide, None)

    def log(self, kind: str, detail: str, slide: int | None = None) -> None:
        """Add a line to the operation log, which only grows.

        Args:
            kind: What happened, at most 60 characters.
            detail: For people, at most 2000 characters; a longer text is cut.
            slide: The slide that it concerns.
        """
        with self._writer.turn() as turn:
            if slide is not None:
                reading.one(turn.connection, "SELECT id FROM slides WHERE id", slide, "slide")
            turn.log(kind, detail, slide)

    def slides(self, limit: int = 100, *, before: int | None = None) -> list[StoredSlide]:
        """Slides, the newest first; ``before`` is the last id of the page before."""
        with self._readers.snapshot() as connection:
            return reading.slides(connection, limit, before)

    def slide(self, slide: int) -> StoredSlide:
        """A slide by its id."""
        with self._readers.snapshot() as connection:
            return reading.slide(connection, slide)

    def fields(self, slide: int, limit: int = 100, *, after: int = 0) -> list[StoredField]:
        """Fields of a slide, the oldest first; ``after`` is the last id of the page before."""
        with self._readers.snapshot() as connection:
            return reading.fields(connection, slide, limit, after)

    def field(self, field: int) -> StoredField:
        """A field by its id."""
        with self._readers.snapshot() as connection:
            return reading.field(connection, field)

    def cells(
        self,
        slide: int,
        order: Order = "suspicion",
        limit: int = 100,
        offset: int = 0,
        *,
        after: int | None = None,
    ) -> list[StoredCell]:
        """Cells of a slide, at most 1000.

        Args:
            slide: Its id.
            order: ``time``: as they were stored; rows added later come last, so offsets hold.
                ``suspicion``: see ``rows.rank``; a row added meanwhile shifts those behind it, so
                go on with ``after``, by which no cell comes twice.
            limit: How many, 1..1000.
            offset: How many to pass over.
            after: The id of the last cell of the page before.
        """
        with self._readers.snapshot() as connection:
            return reading.cells(
                connection, slide, order=order, limit=limit, offset=offset, after=after
            )

    def cells_of_field(self, field: int) -> list[StoredCell]:
        """All cells of a field, in reading order."""
        with self._readers.snapshot() as connection:
            return reading.cells_of_field(connection, field)

    def cell(self, cell: int) -> StoredCell:
        """A cell by its id."""
        with self._readers.snapshot() as connection:
            return reading.cell(connection, cell)

    def corrections(self, cell: int) -> list[Correction]:
        """All corrections of a cell, the newest last."""
        with self._readers.snapshot() as connection:
            return reading.corrections(connection, cell)

    def cell_picture(self, cell: int) -> Picture | None:
        """The picture of a cell; None where it was not kept."""
        with self._readers.snapshot() as connection:
            return reading.picture(connection, "cell", cell)

    def field_picture(self, field: int) -> Picture | None:
        """The picture of a field; None where it was not kept."""
        with self._readers.snapshot() as connection:
            return reading.picture(connection, "field", field)

    def counts(self, slide: int, corrected: bool) -> list[FieldCounts]:
        """What the slide's summary needs, a field each, in the order of storing.

        Args:
            slide: Its id.
            corrected: With the operator's newest word on each cell: ``not_a_cell`` drops it,
                ``disagree`` counts it as assessed in the class given, also where the network did
                not assess it; ``agree`` changes nothing.
        """
        with self._readers.snapshot() as connection:
            return reading.counts(connection, slide, corrected)

    def log_entries(
        self, limit: int = 100, *, before: int | None = None, slide: int | None = None
    ) -> list[LogEntry]:
        """Lines of the log, the newest first; ``before`` is the last id of the page before."""
        with self._readers.snapshot() as connection:
            return reading.log_entries(connection, limit, before, slide)

    def extract(self, slide: int) -> Extract:
        """A slide as it is now, to be read field by field, at any pace, while others write."""
        return Extract.begin(self._readers, slide)

    def check(self) -> None:
        """Read every page and hold every field against its digest; seconds for a large store.

        Raises:
            IntegrityError: The first thing that is damaged or was altered.
        """
        with self._readers.snapshot() as connection:
            refuse_damaged(connection, self.path, "integrity_check")
            for row in connection.execute("SELECT id FROM fields ORDER BY id"):
                reading.refuse_altered(connection, row["id"])

    def _announce(self, before: int) -> None:
        """The first lines of this opening: made, migrated, and what the last one left behind."""
        with self._writer.turn() as turn:
            turn.log("opened" if before else "made", "")
            if 0 < before < len(STEPS):
                turn.log("migrated", f"from schema {before} to {len(STEPS)}")
            adding.mark_interrupted(turn)

    def _running(self, turn: Turn, slide: int) -> NewSlide:
        state, facts = reading.facts(turn.connection, slide)
        if state != "running":
            raise UsageError(f"slide {slide} is over ({state})", fix="start another slide")
        return facts

    def _elapsed_ns(self, slide: int) -> int:
        return self._clock_ns() - self._began_ns[slide]

    def _release(self) -> None:
        self._readers.close()
        self._writer.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
