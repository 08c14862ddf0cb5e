"""Files of a slide: complete, read back equal, and harmless in a spreadsheet."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_samples import cell, field, new_slide

from allnet_edge.device.fields.results import Reason
from allnet_edge.device.store.export import (
    COLUMNS,
    csv_chunks,
    json_chunks,
    spreadsheet_text,
    write_csv,
    write_json,
)
from allnet_edge.device.store.store import Store
from allnet_edge.errors import OutputDirError, UnknownNameError

FORMULA = re.compile("[=+\\-@\uff1d\uff0b\uff0d\uff20]")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        slide = opened.start_slide(new_slide())
        ids = opened.add_field(
            slide,
            field(
                0,
                [
                    cell(0, 0.123456789012345678, shadow=1 / 3, stain_distance=0.1),
                    cell(1, 0.9),
                    cell(2, 0.5, reason=Reason.uncertain),
                    cell(3, None, reason=Reason.cut),
                ],
                name='f,"1".png',
            ),
        )
        opened.add_field(slide, field(1, reason=Reason.dark))
        opened.add_field(slide, field(2))
        opened.correct(ids[1], "not_a_cell")
        opened.correct(ids[1], "disagree", "healthy")
        opened.correct(ids[3], "not_a_cell")
        yield opened


def read(text: str) -> tuple[list[list[str]], list[dict[str, str]]]:
    """The rows about the slide, and those of cells by column."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    about = [row for row in rows if row[0].startswith("#")]
    head, *data = rows[len(about) :]
    assert head == list(COLUMNS)
    return about, [dict(zip(head, row, strict=True)) for row in data]


def test_the_csv_says_what_it_is(store: Store) -> None:
    about, _ = read("".join(csv_chunks(store, 1)))
    assert about[0] == ["# Research use only. Nothing here makes a diagnosis."]
    assert "phantom" in about[1][0]
    known = {row[0]: row[1:] for row in about}
    assert known["# bundle_sha256"] == ["0" * 64]
    assert known["# candidate"] == ["tflite-int8"]
    assert known["# verdict"] == ["pass"]
    assert known["# scale"] == ["0.5"]
    assert known["# scale_known"] == ["micrometres"]
    assert ["# version", "ai-edge-litert", "2.1"] in about
    assert known["# corrected"] == ["2"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"phantom": True}, "phantom"),
        ({"scale_known": "not calibrated"}, "not calibrated"),
        ({"scale_known": "matched by cell size"}, "matched by cell size"),
        ({"verdict": "fail"}, "did not pass its gate: fail"),
        ({"verdict": None}, "did not pass its gate: no verdict"),
    ],
)
def test_doubts_are_said_beside_the_figures(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with Store.open(tmp_path) as store:
        plain = store.start_slide(new_slide(phantom=False))
        doubtful = store.start_slide(new_slide(**{"phantom": False, **changes}))
        notes = json.loads("".join(json_chunks(store, doubtful)))["notes"]
        assert len(notes) == 2
        assert said in notes[1]
        assert f"# {notes[1]}" in "".join(csv_chunks(store, doubtful))
        assert len(json.loads("".join(json_chunks(store, plain)))["notes"]) == 1


def test_the_csv_reads_back_as_what_is_stored(store: Store) -> None:
    _, rows = read("".join(csv_chunks(store, 1)))
    assert len(rows) == 6  # four cells, and two fields without any
    cells = [row for row in rows if row["cell"]]
    for row, known in zip(cells, store.cells(1, "time"), strict=True):
        assert int(row["cell"]) == known.id
        assert tuple(int(row[name]) for name in ("x0", "y0", "x1", "y1")) == known.box
        assert (row["label"] or None) == known.label
        for name in ("probability", "shadow", "stain_distance"):
            assert (float(row[name]) if row[name] else None) == getattr(known, name)
        assert row["reason"] == (known.reason.name if known.reason else "")
        assert row["file"] == 'f,"1".png'
        assert (row["counts_as"] or None) == known.counts_as
        said = known.correction
        assert row["correction"] == (said.verdict if said else "")
        assert row["corrected_label"] == ((said.label or "") if said else "")
    assert [row["counts_as"] for row in cells] == ["healthy", "healthy", "", ""]
    assert [row["field_reason"] for row in rows if not row["cell"]] == ["dark", ""]


def test_the_json_reads_back_as_what_is_stored(store: Store) -> None:
    document = json.loads("".join(json_chunks(store, 1)))
    assert document["research_use_only"] is True
    assert document["notes"][0] == "Research use only. Nothing here makes a diagnosis."
    assert document["slide"] == store.slide(1).to_json()
    assert [
        {name: value for name, value in one.items() if name != "cells"}
        for one in document["fields"]
    ] == [{k: v for k, v in one.to_json().items() if k != "cells"} for one in store.fields(1)]
    cells = [one for entry in document["fields"] for one in entry["cells"]]
    assert cells == [one.to_json() for one in store.cells(1, "time")]
    assert document["corrections"] == [
        one.to_json() for key in (2, 4) for one in store.corrections(key)
    ]


def test_an_empty_slide_is_a_document_too(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        slide = store.start_slide(new_slide())
        assert json.loads("".join(json_chunks(store, slide)))["fields"] == []
        assert read("".join(csv_chunks(store, slide)))[1] == []


def test_other_slides_stay_out(store: Store) -> None:
    second = store.start_slide(new_slide(name="second"))
    (key,) = store.add_field(second, field(0, [cell(0, 0.7)]))
    store.correct(key, "agree")
    document = json.loads("".join(json_chunks(store, second)))
    assert [one["cell"] for one in document["corrections"]] == [key]
    assert len(document["fields"]) == 1
    assert len(json.loads("".join(json_chunks(store, 1)))["fields"]) == 3


def test_a_file_is_whole_or_absent(store: Store, tmp_path: Path) -> None:
    for write in (write_csv, write_json):
        target = tmp_path / write.__name__
        target.write_text("the export before")
        write(store, 1, target)
        stream = io.StringIO()
        write(store, 1, stream)
        with target.open(newline="") as written:
            lines = zip(written, stream.getvalue().splitlines(keepends=True), strict=True)
            assert all(a == b for a, b in lines if "exported" not in a)
        with pytest.raises(UnknownNameError):
            write(store, 99, tmp_path / "absent")
        with pytest.raises(OutputDirError):
            write(store, 1, tmp_path / "nowhere" / "slide")
        with pytest.raises(OutputDirError):
            write(store, 1, tmp_path / "store")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "write_csv", "write_json"]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+49",
        "-2",
        "@SUM(A1)",
        "  =cmd|' /C calc'!A0",
        "\uff1d1+1",
        "a;=1+1",
        "a; -1|@b",
        "'=1",
        "''",
    ],
)
def test_no_text_becomes_a_formula(tmp_path: Path, text: str) -> None:
    with Store.open(tmp_path) as store:
        slide = store.start_slide(
            new_slide(name=text, classes=("healthy", "=blast()"), positive=None)
        )
        store.add_field(slide, field(0, [cell(0, 0.9, label="=blast()")], name=text))
        about, rows = read("".join(csv_chunks(store, slide)))
        written = [rows[0]["file"], rows[0]["label"], dict(row[:2] for row in about[2:])["# name"]]
        for value in written:
            for part in re.split("[;|\t]", value):
                assert not FORMULA.match(part.lstrip()), value
        assert spreadsheet_text("=blast()") == written[1] == "'=blast()"
        assert store.fields(slide)[0].name == text


@given(st.text(alphabet="=+-@';| a,\"\uff1d", max_size=12))
def test_the_apostrophes_can_be_taken_off_again(text: str) -> None:
    safe = spreadsheet_text(text)
    assert re.sub(r"((?:^|[;|])\s*)'", r"\1", safe) == text
    assert not any(FORMULA.match(part.lstrip()) for part in re.split("[;|]", safe))
