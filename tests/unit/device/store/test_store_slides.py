"""What is stored comes back; what may not be changed is not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from store_samples import JPEG, PNG, cell, field, new_slide

from allnet_edge.device.fields.results import Reason
from allnet_edge.device.store.store import Store
from allnet_edge.errors import IntegrityError, UnknownNameError, UsageError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def test_a_slide_comes_back_as_it_was_started(store: Store) -> None:
    facts = new_slide(name="  Ärztin 3 / links  ", verdict=None, shadow="float", threshold=None)
    slide = store.slide(store.start_slide(facts))
    assert slide.facts == facts
    assert slide.facts.name == "Ärztin 3 / links"
    assert (slide.state, slide.ended, slide.fields, slide.cells) == ("running", None, 0, 0)


def test_a_field_comes_back_with_its_cells(store: Store) -> None:
    slide = store.start_slide(new_slide())
    cells = (
        cell(0, 0.9, shadow=0.85, stain_distance=1.25),
        cell(1, 0.1),
        cell(2, None, reason=Reason.cut),
    )
    result = field(7, cells, name="a b.png")
    ids = store.add_field(slide, result)
    known = store.field(store.cell(ids[0]).field)
    assert (known.number, known.name, known.taken) == (7, "a b.png", result.taken)
    assert (known.width, known.height, known.cells) == (640, 480, 3)
    assert (known.spans_ns, known.reason) == ({"find": 9_000_000}, None)
    for given, key in zip(cells, ids, strict=True):
        found = store.cell(key)
        for name in ("index", "box", "outline", "label", "probability", "reason", "detail"):
            assert getattr(found, name) == getattr(given, name), name
        assert (found.shadow, found.stain_distance) == (given.shadow, given.stain_distance)
    assert [one.id for one in store.cells_of_field(known.id)] == ids


def test_a_slide_counts_what_it_holds(store: Store) -> None:
    slide = store.start_slide(new_slide())
    ids = store.add_field(slide, field(0, [cell(0, 0.9), cell(1, None, reason=Reason.dark)]))
    store.add_field(slide, field(1, reason=Reason.blurred))
    store.correct(ids[0], "agree")
    store.correct(ids[0], "not_a_cell")
    known = store.slide(slide)
    assert (known.fields, known.cells, known.assessed, known.corrected) == (2, 2, 1, 1)
    assert store.slides() == [known]


def test_a_slide_ends_once_and_takes_no_field_afterwards(store: Store) -> None:
    slide = store.start_slide(new_slide())
    store.end_slide(slide, "done")
    known = store.slide(slide)
    assert (known.state, known.why) == ("ended", "done")
    assert known.ended is not None
    assert known.duration_s is not None
    with pytest.raises(UsageError, match="over"):
        store.end_slide(slide, "again")
    with pytest.raises(UsageError, match="over"):
        store.add_field(slide, field())
    assert store.slide(slide) == known


def test_a_slide_left_running_is_interrupted_at_the_next_opening(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        ended, left = store.start_slide(new_slide()), store.start_slide(new_slide())
        store.end_slide(ended, "done")
        ids = store.add_field(left, field(0, [cell(0, 0.2)]))
    with Store.open(tmp_path) as store:
        assert store.slide(ended).state == "ended"
        known = store.slide(left)
        assert (known.state, known.duration_s) == ("interrupted", None)
        assert known.ended == store.field(store.cell(ids[0]).field).stored
        assert "slide interrupted" in [line.kind for line in store.log_entries(slide=left)]
        store.correct(ids[0], "not_a_cell")  # the operator may still correct it
        with pytest.raises(UsageError, match="interrupted"):
            store.add_field(left, field(1))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET detail = 'nothing happened'",
        "DELETE FROM log",
        "INSERT OR REPLACE INTO log VALUES (1, 1, '', 'x', '', NULL)",
        "UPDATE corrections SET verdict = 'agree', label = NULL",
        "DELETE FROM corrections",
        "UPDATE cells SET probability = 0",
        "DELETE FROM cells",
        "UPDATE fields SET number = 9",
        "DELETE FROM fields",
        "DELETE FROM slides",
        "UPDATE slides SET name = 'another'",
        "UPDATE slides SET bundle_sha256 = ''",
        "DELETE FROM pictures",
    ],
)
def test_the_database_itself_refuses_to_forget(store: Store, statement: str) -> None:
    slide = store.start_slide(new_slide())
    ids = store.add_field(slide, field(0, [cell(0, 0.9)]), picture=PNG)
    store.correct(ids[0], "disagree")
    with (
        closing(sqlite3.connect(store.path)) as other,
        pytest.raises(sqlite3.IntegrityError, match=r"append-only|written later"),
    ):
        other.execute(statement)


def test_an_ended_slide_is_not_ended_differently(store: Store) -> None:
    slide = store.start_slide(new_slide())
    store.end_slide(slide, "done")
    with (
        closing(sqlite3.connect(store.path)) as other,
        pytest.raises(sqlite3.IntegrityError, match="ends once"),
    ):
        other.execute("UPDATE slides SET why = 'lost'")


@pytest.mark.parametrize("key", [0, -1, 99, 2**63, -(2**70)])
def test_what_is_not_there_is_said(store: Store, key: int) -> None:
    for ask in (
        store.slide,
        store.field,
        store.cell,
        store.cells,
        store.fields,
        store.corrections,
        store.cell_picture,
        store.field_picture,
        store.extract,
        lambda one: store.counts(one, corrected=True),
        lambda one: store.add_field(one, field()),
        lambda one: store.correct(one, "agree"),
        lambda one: store.end_slide(one, ""),
        lambda one: store.log("kind", "", one),
    ):
        with pytest.raises(UnknownNameError, match="this store has no"):
            ask(key)
    assert store.slides(before=key) == []
    assert store.log_entries(before=2**70) != []


def test_pictures_are_kept_only_when_given(store: Store) -> None:
    slide = store.start_slide(new_slide())
    plain = store.add_field(slide, field(0, [cell(0, 0.9)]))
    kept = store.add_field(
        slide, field(1, [cell(3, 0.9), cell(5, 0.1)]), picture=PNG, cell_pictures={5: JPEG}
    )
    assert store.cell_picture(plain[0]) is None
    assert store.cell_picture(kept[0]) is None
    picture = store.cell_picture(kept[1])
    assert picture is not None
    assert (picture.media_type, picture.data) == ("image/jpeg", JPEG)
    fields = store.fields(slide)
    assert [one.picture for one in fields] == [False, True]
    assert store.field_picture(fields[0].id) is None
    whole = store.field_picture(fields[1].id)
    assert whole is not None
    assert (whole.media_type, whole.data) == ("image/png", PNG)
    assert [store.cell(key).picture for key in kept] == [False, True]


@pytest.mark.parametrize(
    "pictures",
    [{"picture": b"GIF89a"}, {"cell_pictures": {0: b""}}, {"cell_pictures": {1: PNG}}],
)
def test_a_picture_that_is_none_keeps_its_field_out(
    store: Store, pictures: dict[str, object]
) -> None:
    slide = store.start_slide(new_slide())
    with pytest.raises(UsageError, match="picture"):
        store.add_field(slide, field(0, [cell(0, 0.9)]), **pictures)
    assert store.slide(slide).fields == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * 121},
        {"name": "two\nlines"},
        {"name": "nul\0"},
        {"name": "turned\u202earound"},
        {"name": "half \ud800"},
        {"classes": ()},
        {"positive": "lymphoma"},
        {"scale": 0.0},
        {"scale": float("nan")},
    ],
)
def test_a_slide_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        new_slide(**changes)


def test_names_of_files_are_shown_whatever_they_are(store: Store) -> None:
    slide = store.start_slide(new_slide(source="/dev/vid\udce9o\n"))
    assert store.slide(slide).facts.source == r"/dev/vid\udce9o\x0a"
    store.add_field(slide, field(name="a\udcff\x1b[2J" + "x" * 600))
    name = store.fields(slide)[0].name
    assert name.startswith(r"a\udcff\x1b[2Jxx")
    assert len(name) == 500
    assert name.endswith("…")


@pytest.mark.parametrize(
    "wrong",
    [
        cell(0, 1.5),
        cell(0, float("nan")),
        cell(0, 0.5, shadow=-0.1),
        cell(0, 0.5, stain_distance=float("inf")),
        cell(0, 0.5, label="lymphocyte"),
        cell(0, None),  # assessed, without a decision
    ],
)
def test_figures_that_are_none_are_not_stored(store: Store, wrong: object) -> None:
    slide = store.start_slide(new_slide())
    with pytest.raises(IntegrityError):
        store.add_field(slide, field(0, [wrong]))
    assert store.slide(slide).cells == 0


def test_a_negative_zero_is_no_altered_value(store: Store) -> None:
    """SQLite keeps none: the digest has to be that of what can be read back."""
    slide = store.start_slide(new_slide())
    store.add_field(slide, field(0, [cell(0, -0.0, shadow=-0.0, stain_distance=-0.0)]))
    store.check()


def test_the_log_keeps_its_order_and_its_bounds(store: Store) -> None:
    slide = store.start_slide(new_slide())
    store.log("camera lost", "unplugged\r\n" + "x" * 3000, slide)
    newest = store.log_entries(1)[0]
    assert (newest.kind, newest.slide) == ("camera lost", slide)
    assert newest.detail.startswith(r"unplugged\x0d\x0ax")
    assert len(newest.detail) == 2000
    assert [line.kind for line in store.log_entries()] == ["camera lost", "slide started", "made"]
    assert [line.kind for line in store.log_entries(before=newest.id)] == ["slide started", "made"]
    assert len(store.log_entries(slide=slide)) == 2


def test_a_clock_set_back_is_logged_and_breaks_no_order(tmp_path: Path) -> None:
    now = [datetime(2026, 3, 1, 12, tzinfo=timezone.utc)]
    ticks = iter(range(0, 10**12, 10**9))

    def open_store() -> Store:
        return Store.open(tmp_path, clock=lambda: now[0], clock_ns=lambda: next(ticks))

    with open_store() as store:
        slide = store.start_slide(new_slide())
        store.add_field(slide, field(0))
        now[0] -= timedelta(seconds=0.5)  # a clock being kept right
        store.add_field(slide, field(1))
        assert "clock set back" not in [line.kind for line in store.log_entries()]
        now[0] -= timedelta(hours=2)
        store.add_field(slide, field(2))
        store.add_field(slide, field(3))
        store.end_slide(slide, "done")
        assert [line.kind for line in store.log_entries()].count("clock set back") == 1
        fields = store.fields(slide)
        assert [one.number for one in fields] == [0, 1, 2, 3]
        assert fields[2].stored < fields[1].stored
        elapsed = [one.elapsed_s for one in fields]
        assert elapsed == sorted(elapsed)
        known = store.slide(slide)
        assert known.ended is not None
        assert known.ended < known.started
        assert known.duration_s == 5.0
    now[0] -= timedelta(days=400)  # a board without a clock that keeps time while it is off
    with open_store() as store:
        assert [line.kind for line in store.log_entries(2)] == ["opened", "clock set back"]


def test_records_are_ready_for_json(store: Store) -> None:
    import json

    slide = store.start_slide(new_slide())
    ids = store.add_field(slide, field(0, [cell(0, 0.9), cell(1, None, reason=Reason.cut)]))
    store.correct(ids[0], "disagree")
    records = [
        store.slide(slide),
        *store.fields(slide),
        *store.cells(slide),
        *store.corrections(ids[0]),
        *store.log_entries(),
    ]
    for record in records:
        plain = record.to_json()
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert store.cell(ids[1]).to_json()["reason"] == "cut"
