"""How fast fields are stored and read back, each on the disk before it is acknowledged.

python benchmarks/store_speed.py           writes benchmarks/results/store_speed.json
"""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

from store_kill import CELLS, field, new_slide

from allnet_edge.artifacts.files import write_json
from allnet_edge.device.store.export import write_csv
from allnet_edge.device.store.export import write_json as export_json
from allnet_edge.device.store.store import Store
from allnet_edge.measure.system import describe

FIELDS = 1000
READERS = 20
POLL_S = 0.2  # 20 readers asking five times a second stand for 100 clients that ask once
RESULT = Path(__file__).parent / "results" / "store_speed.json"


def main() -> None:
    ready = [field(number) for number in range(FIELDS)]
    jpeg = b"\xff\xd8\xff" + os.urandom(60_000)
    small = {index: b"\xff\xd8\xff" + os.urandom(4_000) for index in range(CELLS)}
    with tempfile.TemporaryDirectory(dir=RESULT.parent) as folder:
        root = Path(folder)
        with Store.open(root / "plain") as store:
            slide = store.start_slide(new_slide("alone"))
            alone = _timed(lambda k: store.add_field(slide, ready[k]), FIELDS)
            second = store.start_slide(new_slide("beside readers"))
            with _readers(store, second) as asked:
                beside = _timed(lambda k: store.add_field(second, ready[k]), FIELDS)
            queries = {
                "counts_corrected": lambda _: store.counts(slide, corrected=True),
                "gallery_page_of_100": lambda _: store.cells(slide),
                "slide": lambda _: store.slide(slide),
                "check_all": lambda _: store.check(),
                "export_csv": lambda _: write_csv(store, slide, root / "slide.csv"),
                "export_json": lambda _: export_json(store, slide, root / "slide.json"),
            }
            read = {name: _timed(query, 5)["p50_ms"] for name, query in queries.items()}
        megabytes = (root / "plain" / "store.sqlite3").stat().st_size / 1e6
        began = time.perf_counter()
        Store.open(root / "plain").close()
        reopened = time.perf_counter() - began
        with Store.open(root / "pictures") as store:
            slide = store.start_slide(new_slide("pictures"))
            kept = _timed(
                lambda k: store.add_field(slide, ready[k], picture=jpeg, cell_pictures=small), 200
            )
        fsync = _fsync_ms(root / "probe")
    figures = {
        "date": date.today().isoformat(),
        "machine": describe().model_dump(mode="json"),
        "synchronous": "FULL",
        "cells_per_field": CELLS,
        "write": alone,
        "write_beside_readers": {**beside, "readers": READERS, "queries_answered": asked.answered},
        "write_with_pictures_of_100_kB": kept,
        "fsync_of_one_page_p50_ms": fsync,
        "read_ms_of_a_slide_with_1000_fields": read,
        "open_s": round(reopened, 3),
        "bytes_per_cell": round(megabytes * 1e6 / (2 * FIELDS * CELLS)),
    }
    write_json(RESULT, figures)
    print({name: value for name, value in figures.items() if name != "machine"})


# Any: a row of this script's own JSON.
def _timed(call: Callable[[int], object], n: int) -> dict[str, Any]:
    spans = []
    for number in range(n):
        began = time.perf_counter()
        call(number)
        spans.append((time.perf_counter() - began) * 1e3)
    return {
        "n": n,
        "per_second": round(n / sum(spans) * 1e3, 1),
        "p50_ms": round(statistics.median(spans), 3),
        "p99_ms": round(statistics.quantiles(spans, n=100)[98], 3) if n >= 100 else None,
    }


class _readers:  # noqa: N801 - reads as what it does: with _readers(...)
    """Threads that ask what the page asks, until the block ends."""

    def __init__(self, store: Store, slide: int) -> None:
        self._store, self._slide = store, slide
        self._done, self._pool = threading.Event(), ThreadPoolExecutor(READERS)
        self.answered = 0

    def __enter__(self) -> "_readers":
        self._running = [self._pool.submit(self._ask) for _ in range(READERS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.answered = sum(one.result() for one in self._running)
        self._pool.shutdown()

    def _ask(self) -> int:
        n = 0
        while not self._done.wait(POLL_S):
            self._store.slide(self._slide)
            self._store.cells(self._slide, limit=24)
            n += 2
        return n


def _fsync_ms(path: Path) -> float:
    """What this disk takes to keep 4 KiB, for comparison."""
    spans = []
    with path.open("wb", buffering=0) as stream:
        for _ in range(200):
            stream.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(stream.fileno())
            spans.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(spans), 3)


if __name__ == "__main__":
    main()
