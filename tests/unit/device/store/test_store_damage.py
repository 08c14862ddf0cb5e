"""Databases that are damaged, of another version, or none at all."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from store_samples import PNG, contents, field, filled, new_slide, overwrite_pages

from allnet_edge.device.store import schema
from allnet_edge.device.store.export import write_csv, write_json
from allnet_edge.device.store.store import Store
from allnet_edge.errors import IntegrityError

SERVE = """
import sys
from pathlib import Path
from allnet_edge.device.store.store import Store
with Store.open(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("damage", ["header", "pages", "truncated", "text", "emptied"])
def test_a_damaged_database_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    filled(tmp_path)
    path = tmp_path / "store.sqlite3"
    data = bytearray(path.read_bytes())
    assert len(data) > 10 * 4096
    if damage == "header":
        data[:100] = b"\xff" * 100
    elif damage == "pages":
        overwrite_pages(path)
        data = bytearray(path.read_bytes())
    elif damage == "truncated":
        del data[len(data) // 2 :]
    elif damage == "text":
        data = bytearray(b"a shopping list\n" * 400)
    else:
        data = bytearray()
        (tmp_path / "store.sqlite3-wal").write_bytes(b"x" * 5000)
    path.write_bytes(data)
    before = contents(tmp_path)
    with pytest.raises(IntegrityError) as told:
        Store.open(tmp_path)
    assert told.value.exit_code == 7
    assert "left as it is" in str(told.value)
    assert contents(tmp_path) == before


def test_a_damaged_database_keeps_its_write_ahead_log(tmp_path: Path) -> None:
    """What is in the log may be all that can be saved."""
    filled(tmp_path)
    program = SERVE.replace("sys.stdin.read()", "import os; os.kill(os.getpid(), 9)")
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, capture_output=True)
    assert (tmp_path / "store.sqlite3-wal").stat().st_size > 0
    overwrite_pages(tmp_path / "store.sqlite3")
    before = contents(tmp_path)
    with pytest.raises(IntegrityError):
        Store.open(tmp_path)
    assert contents(tmp_path) == before


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE photographs (id INTEGER)")
    before = contents(tmp_path)
    with pytest.raises(IntegrityError, match="another program"):
        Store.open(tmp_path)
    assert contents(tmp_path) == before


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as other:
        other.execute(f"PRAGMA user_version = {len(schema.STEPS) + 1}")
    before = contents(tmp_path)
    with pytest.raises(IntegrityError, match="schema 2, this program knows 1") as told:
        Store.open(tmp_path)
    assert "update allnet-edge" in str(told.value)
    assert contents(tmp_path) == before


def test_an_older_schema_is_brought_up_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, 3)
    path = tmp_path / "store.sqlite3"
    step = ("ALTER TABLE slides ADD COLUMN stain TEXT", "CREATE INDEX by_stain ON slides (stain)")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            schema.migrate(connection, [*schema.STEPS, (*step, "DROP TABLE nowhere")])
        assert schema.version_of(connection) == 1
        columns = [row[1] for row in connection.execute("PRAGMA table_info(slides)")]
        assert "stain" not in columns
        assert schema.migrate(connection, [*schema.STEPS, step]) == 1
        assert schema.version_of(connection) == 2
        assert connection.execute("SELECT count(*) FROM fields").fetchone() == (3,)
        assert connection.execute("SELECT stain FROM slides").fetchone() == (None,)


def test_a_store_killed_while_it_was_made_is_made_again(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # writes the first page, and no table
    assert (tmp_path / "store.sqlite3").stat().st_size > 0
    filled(tmp_path, 2)
    with Store.open(tmp_path) as store:
        assert store.slide(1).fields == 2


@pytest.mark.parametrize(
    ("table", "change"),
    [("cells", "probability = 0.5"), ("cells", "label = 'healthy'"), ("fields", "reason = 'dark'")],
)
def test_a_value_that_was_altered_is_found(tmp_path: Path, table: str, change: str) -> None:
    filled(tmp_path, 3)
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as other:
        other.execute(f"DROP TRIGGER {table}_keeps")
        other.execute(f"UPDATE {table} SET {change} WHERE id = 2")  # noqa: S608
        other.commit()
    with Store.open(tmp_path) as store:
        with pytest.raises(IntegrityError, match="field"):
            store.check()
        with pytest.raises(IntegrityError, match="altered after it was stored"):
            write_csv(store, 1, tmp_path / "slide.csv")
        with pytest.raises(IntegrityError, match="altered after it was stored"):
            write_json(store, 1, StringIO())
    assert not list(tmp_path.glob("slide.csv*"))


def test_a_row_that_no_version_wrote_is_said(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as other:
        other.execute("DROP TRIGGER cells_keeps")
        other.execute("UPDATE cells SET reason = 'moonlight' WHERE id = 1")
        other.execute("UPDATE cells SET outline = '[[1' WHERE id = 2")
        other.commit()
    with Store.open(tmp_path) as store:
        for key in (1, 2):
            with pytest.raises(IntegrityError, match="cannot be read"):
                store.cell(key)
        assert store.cell(3).index == 2


def test_a_damaged_picture_is_not_shown(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        slide = store.start_slide(new_slide())
        store.add_field(slide, field(), picture=PNG)
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as other:
        other.execute("DROP TRIGGER pictures_keeps")
        other.execute("UPDATE pictures SET data = ?", (PNG[:-1],))
        other.commit()
    with Store.open(tmp_path) as store, pytest.raises(IntegrityError, match="picture of field 1"):
        store.field_picture(1)
