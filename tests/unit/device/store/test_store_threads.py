"""Many readers beside the writer: each sees whole fields, and none waits for another."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from store_samples import cell, field, new_slide

from allnet_edge.device.store.connections import IDLE
from allnet_edge.device.store.export import csv_chunks
from allnet_edge.device.store.store import Store

CELLS = 3


def whole(number: int) -> object:
    return field(number, [cell(k, 0.2 + 0.3 * k) for k in range(CELLS)])


def test_every_reader_sees_whole_fields_only(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        slide = store.start_slide(new_slide())
        done = threading.Event()

        def read() -> list[int]:
            seen = []
            while not done.is_set():
                known = store.slide(slide)
                assert known.cells == CELLS * known.fields
                counts = store.counts(slide, corrected=True)
                assert all(one.assessed == CELLS for one in counts)
                assert len(counts) >= known.fields
                seen.append(known.fields)
            return seen

        with ThreadPoolExecutor(12) as pool:
            readers = [pool.submit(read) for _ in range(12)]
            try:
                for number in range(60):
                    ids = store.add_field(slide, whole(number))
                    assert store.cell(ids[-1]).index == CELLS - 1  # one's own writes are seen
            finally:
                done.set()
            for reader in readers:
                seen = reader.result()
                assert seen == sorted(seen)
        assert store.slide(slide).fields == 60


def test_writers_of_many_threads_take_turns(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        slide = store.start_slide(new_slide())

        def write(start: int) -> list[int]:
            ids = []
            for number in range(start, start + 10):
                added = store.add_field(slide, whole(number))
                assert added == list(range(added[0], added[0] + CELLS))
                store.correct(added[0], "agree")
                store.log("thread", str(start), slide)
                ids += added
            return ids

        with ThreadPoolExecutor(6) as pool:
            ids = [key for part in pool.map(write, range(0, 60, 10)) for key in part]
        assert sorted(ids) == list(range(1, 60 * CELLS + 1))
        store.check()
        assert sorted(one.number for one in store.fields(slide)) == list(range(60))
        assert store.slide(slide).corrected == 60


def test_a_reader_that_stays_does_not_hold_the_writer_up(tmp_path: Path) -> None:
    with Store.open(tmp_path, busy_s=0.0) as store:
        slide = store.start_slide(new_slide())
        store.add_field(slide, whole(0))
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN")
            assert other.execute("SELECT count(*) FROM fields").fetchone() == (1,)
            for number in range(1, 5):
                store.add_field(slide, whole(number))
            assert other.execute("SELECT count(*) FROM fields").fetchone() == (1,)
        assert store.slide(slide).fields == 5


def test_slow_takers_of_exports_hold_nothing_and_see_one_state(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        slide = store.start_slide(new_slide())
        for number in range(50):
            ids = store.add_field(slide, whole(number))
        exports = [csv_chunks(store, slide) for _ in range(3 * IDLE)]
        begun = ["".join(next(export) for _ in range(5)) for export in exports]
        store.correct(ids[0], "not_a_cell")
        store.add_field(slide, whole(99))
        store.end_slide(slide, "done")
        for start, export in zip(begun, exports, strict=True):
            text = start + "".join(export)
            rows = [line for line in text.splitlines() if line[:1].isdigit()]
            assert len(rows) == 50 * CELLS
            assert "not_a_cell" not in text
            assert "# state,running" in text
