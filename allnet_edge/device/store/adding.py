"""The parts of a write transaction: fields with their cells, pictures, corrections."""

from collections.abc import Mapping, Sequence

from allnet_edge.artifacts.files import sha256_bytes
from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.store import reading
from allnet_edge.device.store.records import NewSlide, OperatorVerdict, StoredCell
from allnet_edge.device.store.rows import cell_row, digest, field_row, rank
from allnet_edge.device.store.writing import Turn
from allnet_edge.errors import UsageError

PICTURE_BYTES = 32 << 20
_MEDIA_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def add_field(
    turn: Turn, slide: int, facts: NewSlide, result: FieldResult, elapsed_ns: int
) -> tuple[int, list[int]]:
    """A field and its cells; its id and theirs.

    Raises:
        IntegrityError: A label that is no class of the slide, or a figure that is none.
    """
    rows = [cell_row(cell, facts.classes) for cell in result.cells]
    values = field_row(result, elapsed_ns)
    stamp = digest(list(values.values()), [list(row.values()) for row in rows])
    begun = {"sequence": turn.sequence, "slide": slide, "stored": turn.at}
    field = turn.insert("fields", {**begun, **values, "digest": stamp})
    ids = []
    for cell, row in zip(result.cells, rows, strict=True):
        place = rank(cell, facts.positive, facts.classes)
        ids.append(turn.insert("cells", {"slide": slide, "field": field, **row, "rank": place}))
    return field, ids


def add_pictures(
    turn: Turn,
    field: int,
    result: FieldResult,
    ids: Sequence[int],
    *,
    picture: bytes | None,
    cell_pictures: Mapping[int, bytes],
) -> None:
    """Pictures of a field that was just added, and of its cells by their index.

    Raises:
        UsageError: No PNG or JPEG, too large, or of a cell that the field has not.
    """
    known = {cell.index: key for cell, key in zip(result.cells, ids, strict=True)}
    foreign = sorted(set(cell_pictures) - set(known))
    if foreign:
        raise UsageError(f"pictures of cells that the field has not: {foreign}")
    if picture is not None:
        _add_picture(turn, picture, field, None)
    for index, data in cell_pictures.items():
        _add_picture(turn, data, field, known[index])


def add_correction(turn: Turn, cell: int, verdict: OperatorVerdict, label: str | None) -> None:
    """The operator's word on a cell.

    Raises:
        UnknownNameError: No such cell.
        UsageError: See ``Store.correct``.
    """
    known = reading.cell(turn.connection, cell)
    if verdict == "disagree":
        classes = reading.facts(turn.connection, known.slide)[1].classes
        label = _other(known, classes, label)
    elif verdict not in {"agree", "not_a_cell"} or label is not None:
        raise UsageError(
            f"no correction {verdict!r} with the label {label!r}",
            fix="agree, not_a_cell, or disagree with a label",
        )
    said = {"cell": cell, "at": turn.at, "verdict": verdict, "label": label}
    turn.insert("corrections", {"sequence": turn.sequence, "slide": known.slide, **said})
    words = f"cell {cell}: {verdict}" + (f", {label}" if label else "")
    turn.log("correction", words, known.slide)


def mark_interrupted(turn: Turn) -> None:
    """End the slides that a program left running when it ended."""
    left = turn.connection.execute("SELECT id FROM slides WHERE state = 'running'").fetchall()
    for (slide,) in left:
        turn.connection.execute(
            "UPDATE slides SET state = 'interrupted', why = ?, ended = coalesce((SELECT stored "
            "FROM fields WHERE slide = slides.id ORDER BY id DESC LIMIT 1), started) WHERE id = ?",
            ("the program ended without ending the slide", slide),
        )
        turn.log("slide interrupted", "", slide)


def _add_picture(turn: Turn, data: bytes, field: int, cell: int | None) -> None:
    known = next((kind for head, kind in _MEDIA_TYPES.items() if data.startswith(head)), None)
    if known is None or len(data) > PICTURE_BYTES:
        raise UsageError(
            f"a picture of {len(data)} bytes cannot be kept",
            fix=f"give a PNG or JPEG file of at most {PICTURE_BYTES >> 20} MiB",
        )
    turn.insert(
        "pictures",
        {
            "field": field,
            "cell": cell,
            "media_type": known,
            "sha256": sha256_bytes(data),
            "data": data,
        },
    )


def _other(cell: StoredCell, classes: tuple[str, ...], label: str | None) -> str:
    """The class that a disagreement gives a cell."""
    if label is None:
        if len(classes) != 2 or cell.label is None:
            raise UsageError(
                f"disagreeing on cell {cell.id} needs a label", fix=f"one of {', '.join(classes)}"
            )
        return classes[1 - classes.index(cell.label)]
    if label not in classes:
        raise UsageError(f"{label!r} is no class of this slide", fix=f"one of {', '.join(classes)}")
    if label == cell.label and cell.reason is None:
        raise UsageError(f"cell {cell.id} is {label!r} already", fix="agree")
    return label
