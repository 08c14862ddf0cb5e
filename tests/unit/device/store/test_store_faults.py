"""Disks that are full, locked or read-only, and folders that are in use."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from store_samples import cell, contents, field, filled, new_slide

from allnet_edge.device.store.connections import open_writer
from allnet_edge.device.store.export import write_csv, write_json
from allnet_edge.device.store.store import Store
from allnet_edge.errors import OutputDirError, StorageError, UsageError

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""

SERVE = """
import sys
from pathlib import Path
from allnet_edge.device.store.store import Store
with Store.open(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""

# Python ignores SIGXFSZ, so that a file which may not grow is an error of the write.
LIMITED = """
import resource, sys
from pathlib import Path
from allnet_edge.device.store.store import Store
from allnet_edge.errors import StorageError
from store_samples import cell, field, new_slide
with Store.open(Path(sys.argv[1])) as store:
    slide = store.start_slide(new_slide())
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    for number in range(10_000):
        try:
            store.add_field(slide, field(number, [cell(k, 0.7) for k in range(10)]))
        except StorageError as error:
            print(number, error.exit_code)
            print(error)
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.add_field(slide, field(number, [cell(k, 0.7) for k in range(10)]))
    store.end_slide(slide, "full")
"""


@contextmanager
def another(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that says when it is ready, and ends when the block does."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=pipe, stdout=pipe, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        yield child
        if child.stdin is not None:
            child.stdin.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB of its own."""
    root = tmp_path / "disk"
    root.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(root)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("a file system cannot be mounted here; RLIMIT_FSIZE stands in for it")
    yield root
    subprocess.run(["umount", str(root)], check=True)


def test_a_full_disk_loses_nothing_and_is_no_end(small_disk: Path) -> None:
    folder, ballast = small_disk / "store", small_disk / "ballast"
    with Store.open(folder) as store:
        slide = store.start_slide(new_slide())
        ballast.write_bytes(bytes(2 << 20))
        acknowledged: list[int] = []
        with pytest.raises(StorageError, match="full") as told:  # noqa: PT012 - until it is full
            for number in range(10_000):
                acknowledged += store.add_field(slide, field(number, [cell(0, 0.7), cell(1, 0.2)]))
        assert told.value.exit_code == 3
        assert "free some space" in str(told.value)
        assert len(acknowledged) > 20
        with pytest.raises(StorageError, match="full"):
            store.add_field(slide, field(number))
        store.check()
        assert [one.id for one in store.cells(slide, "time", 1000)] == acknowledged[:1000]
        assert store.slide(slide).cells == len(acknowledged)
        ballast.unlink()
        ids = store.add_field(slide, field(number, [cell(0, 0.9)]))
        assert ids == [len(acknowledged) + 1]
        store.end_slide(slide, "done")
    with Store.open(folder) as store:
        store.check()
        assert store.slide(slide).state == "ended"
        assert store.slide(slide).cells == len(acknowledged) + 1


def test_an_export_to_a_full_disk_leaves_no_half_file(small_disk: Path, tmp_path: Path) -> None:
    filled(tmp_path / "store", 60)
    (small_disk / "ballast").write_bytes(bytes((4 << 20) - (8 << 10)))
    with Store.open(tmp_path / "store") as store:
        for write in (write_csv, write_json):
            with pytest.raises(StorageError, match="cannot take more"):
                write(store, 1, small_disk / "slide")
            assert [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_a_store_on_a_full_disk_is_not_begun(small_disk: Path) -> None:
    with (small_disk / "ballast").open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))
    with pytest.raises(StorageError) as told:
        Store.open(small_disk / "store")
    assert told.value.exit_code == 3
    (small_disk / "ballast").unlink()
    filled(small_disk / "store", 1)


def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    stored, code = (int(word) for word in done.stdout.splitlines()[0].split())
    assert code == 3
    assert "the disk cannot be written" in done.stdout
    assert stored > 5
    with Store.open(tmp_path) as store:
        store.check()
        assert store.slide(1).fields == stored + 1
        assert store.slide(1).state == "ended"


def test_a_locked_database_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    with Store.open(tmp_path, busy_s=0.1) as store:
        slide = store.start_slide(new_slide())
        store.add_field(slide, field(0, [cell(0, 0.9)]))
        with another(HOLD, store.path):
            with pytest.raises(StorageError, match="locked") as told:
                store.add_field(slide, field(1, [cell(0, 0.9)]))
            assert told.value.exit_code == 3
            assert store.slide(slide).cells == 1  # reading goes on
        store.add_field(slide, field(1, [cell(0, 0.9)]))
        assert store.slide(slide).cells == 2


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    with Store.open(tmp_path, busy_s=60) as store:
        slide = store.start_slide(new_slide())
        with another(HOLD, store.path) as holder:
            assert holder.stdin is not None
            holder.stdin.close()
            store.add_field(slide, field(0, [cell(0, 0.9)]))
            holder.stdin = None
        assert store.slide(slide).cells == 1


def test_a_database_locked_at_opening_is_said(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    with (
        another(HOLD, tmp_path / "store.sqlite3"),
        pytest.raises(StorageError, match="locked"),
    ):
        Store.open(tmp_path, busy_s=0.1)
    Store.open(tmp_path).close()


def test_a_second_server_is_refused_by_the_first_ones_number(tmp_path: Path) -> None:
    with another(SERVE, tmp_path) as server:
        with pytest.raises(OutputDirError, match=rf"process {server.pid}\)"):
            Store.open(tmp_path)
        server.send_signal(signal.SIGKILL)
        server.wait()
        Store.open(tmp_path).close()
    with Store.open(tmp_path), pytest.raises(OutputDirError, match=f"process {os.getpid()}"):
        Store.open(tmp_path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("mine")
    with pytest.raises(OutputDirError):
        Store.open(tmp_path / "store")
    with pytest.raises(OutputDirError):
        Store.open(tmp_path / "store" / "below")
    assert (tmp_path / "store").read_text() == "mine"


def test_a_read_only_disk_is_refused(small_disk: Path) -> None:
    filled(small_disk / "store", 1)
    before = contents(small_disk / "store")
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    with pytest.raises(OutputDirError) as told:
        Store.open(small_disk / "store")
    assert told.value.exit_code == 2
    assert "choose another folder" in str(told.value)
    with pytest.raises(OutputDirError):
        Store.open(small_disk / "new")
    assert contents(small_disk / "store") == before


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.close()
    store.close()
    with pytest.raises(UsageError, match="closed"):
        store.log("kind", "")
    with pytest.raises(UsageError, match="closed"):
        store.slides()
    with Store.open(tmp_path) as again:
        assert [line.kind for line in again.log_entries()] == ["opened", "closed", "made"]


def test_each_commit_is_flushed_to_the_disk(tmp_path: Path) -> None:
    """A kill leaves the kernel's cache, a power cut does not: only this setting covers both."""
    Store.open(tmp_path).close()
    with closing(open_writer(tmp_path / "store.sqlite3", 1.0)) as connection:
        asked = ("synchronous", "journal_mode", "foreign_keys", "recursive_triggers")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]
    assert found == [2, "wal", 1, 1]  # 2: FULL
