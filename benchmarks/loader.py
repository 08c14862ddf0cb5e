"""Images per second of each way to the pixels, beside what decoding and resizing alone reach.

``pure`` is bare processes, each of which only calls ``load`` for its share of the files, one after
the other; nobody gets the pixels. Every other way hands shuffled batches to a consumer that touches
each cache line of them, and is measured between two ``pure`` passes: its ratio is to their mean, so
that other programs on the machine weigh on both. ``processor_ms`` is the processor time of all
processes together for one image, which such programs disturb less.

All files are in the system's page cache. Starting processes and a first pass, which compares
hashes, are not measured; filling the cache is measured whole, its processes' start and its fsync
included. Every repeat starts anew and with another piece of heap taken: libjpeg-turbo writes rows
past the processor's caches where their buffer happens to begin at a multiple of 32 bytes, and the
decoding then takes up to 1.4 times as long, so that a process has one of two speeds by chance.

python benchmarks/loader.py --data FOLDER_OF_SETS      writes benchmarks/results/loader.json
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

from allnet_edge.artifacts.files import sha256_file, write_json
from allnet_edge.data.batches import ImageBatches, shuffled
from allnet_edge.data.decode_threads import DecodedByThreads
from allnet_edge.data.images import load
from allnet_edge.data.open_pixels import open_pixels
from allnet_edge.data.pixels import ImageFiles, PixelSource
from allnet_edge.measure.system import describe
from allnet_edge.spec.network import Preprocess

RESULT = Path(__file__).parent / "results" / "loader.json"
BATCH = 32
# Folder, suffix, side: JPEG fields at their own size, and bitmaps of 450 that are resized.
SETS = {"aria2021": (".jpg", 224), "cnmc": (".bmp", 250)}

Pass = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with aria2021 and cnmc")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rows", type=int, default=2400, help="a pass; files are repeated for it")
    parser.add_argument("--cache", type=Path, help="where the cache lies; else a temporary folder")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare is not None:
        bare(args.bare)
        return
    figures = {
        "date": date.today().isoformat(),
        "machine": describe(packages=("numpy", "pillow")).model_dump(mode="json"),
        "workers": args.workers,
        "batch_size": BATCH,
        "goals": {"processes": 0.9, "cached": 8.0},
        "sets": {name: measured(name, args) for name in SETS},
    }
    figures["load_1min_at_end"] = round(os.getloadavg()[0], 2)
    write_json(args.output, figures)
    for name, found in figures["sets"].items():
        print(name, json.dumps({way: row["ratio_to_pure"] for way, row in found["ways"].items()}))


def measured(name: str, args: argparse.Namespace) -> dict[str, object]:
    suffix, side = SETS[name]
    paths = sorted(path for path in (args.data / name).rglob("*") if path.suffix == suffix)
    hashes = {path: sha256_file(path) for path in paths}
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    bare_passes: list[tuple[float, float, float]] = []
    for repeat in range(args.repeats):
        order = shuffled(args.rows, (1, repeat))
        # Some rows are asked for by nobody: they move what lies on the heap.
        rows = [paths[row % len(paths)] for row in range(args.rows + random.randrange(64))]
        files = ImageFiles(rows, Preprocess(size=side), [hashes[path] for path in rows])
        with ExitStack() as held:
            pure = held.enter_context(bare_processes(rows[: args.rows], side, args.workers))
            before = timed(pure)
            for way, one_pass in ways(files, order, args, held).items():
                took = timed(one_pass)
                after = timed(pure)
                found[way].append((*took, (before[0] + after[0]) / 2))
                bare_passes.append((*after, after[0]))
                before = after
        print(name, f"{repeat + 1}/{args.repeats}", file=sys.stderr)
    return {
        "files": len(paths),
        "mean_file_bytes": round(statistics.mean(path.stat().st_size for path in paths)),
        "rows": args.rows,
        "side": side,
        "pure": rates(args.rows, bare_passes),
        "ways": {way: summary(args.rows, each) for way, each in found.items()},
    }


def ways(files: ImageFiles, order, args: argparse.Namespace, held: ExitStack) -> dict[str, Pass]:
    """One pass of each; what they need is open and has been used once."""
    folder = Path(held.enter_context(tempfile.TemporaryDirectory(dir=args.cache)))

    def filling() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            open_pixels(files, workers=args.workers, cache=Path(fresh)).close()

    def passes_over(source: PixelSource) -> Pass:
        held.enter_context(source)

        def one_pass() -> None:
            for batch in ImageBatches(source, [0] * len(source), BATCH, order=order):
                batch.pixels.reshape(-1)[::64].max()

        one_pass()
        return one_pass

    return {
        "processes": passes_over(open_pixels(files, workers=args.workers)),
        "threads": passes_over(DecodedByThreads(files, args.workers)),
        "filling": filling,
        "cached": passes_over(open_pixels(files, workers=args.workers, cache=folder)),
    }


def timed(one_pass: Pass) -> tuple[float, float]:
    """Seconds by the wall, and of the processor in this process and its children."""
    began, busy = time.perf_counter(), processor_seconds()
    one_pass()
    return time.perf_counter() - began, processor_seconds() - busy


def processor_seconds() -> float:
    """Of this process, of its children that run, and of those that have ended."""
    running = 0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            running += sum(
                int((thread / "schedstat").read_text().split()[0])
                for thread in Path(f"/proc/{child}/task").iterdir()
            )
    ended = os.times()
    return time.process_time() + running / 1e9 + ended.children_user + ended.children_system


@contextmanager
def bare_processes(rows: list[Path], side: int, workers: int) -> Iterator[Pass]:
    """A pass of processes that decode at a word, and say when they are done."""
    with ExitStack() as held:
        started = []
        for number in range(workers):
            process = held.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__, "--bare", str(side)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            started.append(process)
            print(json.dumps([str(path) for path in rows[number::workers]]), file=process.stdin)

        def one_pass() -> None:
            for process in started:
                print("go", file=process.stdin, flush=True)
            for process in started:
                if process.stdout.readline() != "done\n":
                    raise RuntimeError("a bare process has ended")

        one_pass()
        yield one_pass


def bare(side: int) -> None:
    taken = bytearray(random.randrange(1 << 16))
    paths = [Path(path) for path in json.loads(sys.stdin.readline())]
    preprocess = Preprocess(size=side)
    while sys.stdin.readline():
        for path in paths:
            load(path, preprocess)
        print("done", flush=True)
    del taken


def rates(rows: int, each: list[tuple[float, float, float]]) -> dict[str, object]:
    return {
        "images_per_second": round(statistics.median(rows / wall for wall, _, _ in each)),
        "images_per_second_each": [round(rows / wall) for wall, _, _ in each],
        "processor_ms": round(statistics.median(1e3 * busy / rows for _, busy, _ in each), 3),
    }


def summary(rows: int, each: list[tuple[float, float, float]]) -> dict[str, object]:
    ratios = [pure / wall for wall, _, pure in each]
    return {
        **rates(rows, each),
        "ratio_to_pure": round(statistics.median(ratios), 3),
        "ratio_to_pure_each": [round(ratio, 3) for ratio in ratios],
    }


if __name__ == "__main__":
    main()
