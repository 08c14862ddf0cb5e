"""One state of a slide, read in short steps.

What is stored is never changed, only added to: a state is known by the last field and the last
correction that belong to it. So a slow taker holds no transaction open, which would keep SQLite's
write-ahead log growing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from allnet_edge.device.store import reading
from allnet_edge.device.store.connections import Readers
from allnet_edge.device.store.records import Correction, StoredCell, StoredField, StoredSlide
from allnet_edge.device.store.rows import (
    CELLS_AS_OF,
    FIELDS,
    decoded,
    to_cell,
    to_correction,
    to_field,
)

_FIELDS = 20  # a step: some milliseconds and some hundred cells


@dataclass(frozen=True, slots=True)
class Extract:
    """A slide as it was when the extract was begun.

    Attributes:
        slide: With its counts.
        last_field: The id of the last field that belongs to it; 0 without any.
        last_correction: Likewise of the corrections.
    """

    slide: StoredSlide
    last_field: int
    last_correction: int
    _readers: Readers = field(repr=False, compare=False)

    @classmethod
    def begin(cls, readers: Readers, slide: int) -> "Extract":
        """Of a slide as it is now.

        Raises:
            UnknownNameError: No such slide.
        """
        with readers.snapshot() as connection:
            known = reading.slide(connection, slide)
            last = connection.execute(
                "SELECT (SELECT coalesce(max(id), 0) FROM fields), "
                "(SELECT coalesce(max(id), 0) FROM corrections)"
            ).fetchone()
        return cls(known, last[0], last[1], readers)

    def fields(self) -> Iterator[tuple[StoredField, list[StoredCell]]]:
        """Each field with its cells, in the order of storing, held against its digest.

        Raises:
            IntegrityError: A field that was altered since it was stored.
        """
        after = 0
        while step := self._step(after):
            yield from step
            after = step[-1][0].id

    def corrections(self) -> list[Correction]:
        """Every correction of the slide, the superseded ones too, in the order they were made."""
        with self._readers.snapshot() as connection:
            rows = connection.execute(
                "SELECT * FROM corrections WHERE slide = ? AND id <= ? ORDER BY id",
                (self.slide.id, self.last_correction),
            )
            return [decoded(to_correction, row) for row in rows]

    def _step(self, after: int) -> list[tuple[StoredField, list[StoredCell]]]:
        with self._readers.snapshot() as connection:
            found = connection.execute(
                f"{FIELDS} WHERE f.slide = ? AND f.id > ? AND f.id <= ? ORDER BY f.id LIMIT ?",
                (self.slide.id, after, self.last_field, _FIELDS),
            ).fetchall()
            step = []
            for row in found:
                reading.refuse_altered(connection, row["id"])
                cells = connection.execute(
                    f"{CELLS_AS_OF} WHERE c.field = ? ORDER BY c.number",
                    (self.last_correction, row["id"]),
                )
                step.append((decoded(to_field, row), [decoded(to_cell, one) for one in cells]))
            return step
