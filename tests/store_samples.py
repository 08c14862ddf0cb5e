"""Slides and fields for tests of the store."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from allnet_edge.device.fields.results import CellResult, FieldResult, Reason
from allnet_edge.device.store.records import NewSlide
from allnet_edge.device.store.store import Store

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JPEG = b"\xff\xd8\xff" + bytes(range(256))

_SLIDE = NewSlide(
    name="smear 7",
    bundle="phantom",
    bundle_sha256="0" * 64,
    candidate="tflite-int8",
    verdict="pass",
    model="student",
    classes=("healthy", "blast"),
    positive="blast",
    phantom=True,
    source="folder",
    scale=0.5,
    scale_known="micrometres",
    versions={"allnet-edge": "0.1.0", "ai-edge-litert": "2.1"},
    threshold=0.5,
)


def new_slide(**changes: object) -> NewSlide:
    return replace(_SLIDE, **changes)


def cell(
    index: int,
    probability: float | None,
    *,
    label: str | None = None,
    reason: Reason | None = None,
    **changes: object,
) -> CellResult:
    """By default what the threshold 0.5 says of a probability."""
    by_threshold = None if probability is None else "blast" if probability >= 0.5 else "healthy"
    made = CellResult(
        index,
        (10 * index, 20, 10 * index + 30, 60),
        ((10 * index, 20), (10 * index + 29, 59)),
        label or by_threshold,
        probability,
        reason,
        "" if reason is None else f"{reason.value}: 1 of 2",
    )
    return replace(made, **changes)


def field(
    number: int = 0, cells: Sequence[CellResult] = (), reason: Reason | None = None, name: str = ""
) -> FieldResult:
    taken = datetime(2026, 3, 1, 12, 0, number % 60, tzinfo=timezone.utc)
    detail = "" if reason is None else reason.value
    return FieldResult(
        number, name, taken, 640, 480, tuple(cells), reason, detail, {"find": 9_000_000}
    )


def contents(folder: Path) -> dict[str, str]:
    """What nobody may change in a store that was refused."""
    return {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name.endswith((".sqlite3", "-wal")) and path.stat().st_size
    }


def filled(folder: Path, fields: int = 40) -> None:
    with Store.open(folder) as store:
        slide = store.start_slide(new_slide())
        for number in range(fields):
            store.add_field(slide, field(number, [cell(k, 0.7) for k in range(5)]))


def overwrite_pages(path: Path) -> None:
    """The head of every page but the first three, which lie in a write-ahead log, too."""
    with path.open("r+b") as stream:
        for page in range(3, path.stat().st_size // 4096):
            stream.seek(page * 4096)
            stream.write(b"\xa5" * 64)
