"""How many phantom cells one core makes in a second: in memory, and as PNG files.

Writing is measured on the disk of the temporary folder (which is waited for) and in memory.

python benchmarks/phantom_speed.py [--cells 1000] [--repeats 5]
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from allnet_edge.data.phantom import generate, write_dataset
from allnet_edge.data.phantom.write import GENERATOR_VERSION

RESULT = Path(__file__).parent / "results" / "phantom_speed.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"))  # noqa: S108
    parser.add_argument("--output", type=Path, default=RESULT)
    args = parser.parse_args()

    def in_memory() -> None:
        generate(args.cells, size=args.size)

    def written_below(parent: Path | None) -> Callable[[], None]:
        def work() -> None:
            with tempfile.TemporaryDirectory(dir=parent) as folder:
                write_dataset(Path(folder) / "phantoms", args.cells, 30, 0, args.size)

        return work

    in_memory()  # once unmeasured: the caches are warm and the clock has risen
    document = {
        "what": "phantom cells per second on one thread",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine_class": f"{platform.machine()} {platform.system()}, 1 thread",
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "generator_version": GENERATOR_VERSION,
        "cells": args.cells,
        "size": args.size,
        "generate": _rates(in_memory, args.cells, args.repeats),
        "generate_and_write": _rates(written_below(None), args.cells, args.repeats),
    }
    if args.memory.is_dir():
        rates = _rates(written_below(args.memory), args.cells, args.repeats)
        document["generate_and_write_to_memory_file_system"] = rates
    args.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def _rates(work: Callable[[], None], cells: int, repeats: int) -> dict[str, list[float]]:
    """Cells per second of each repeat, by the wall and by this process's processor time.

    The two differ where other programs hold the processor, or where the disk is waited for.
    """
    wall, processor = [], []
    for _ in range(repeats):
        began, busy = time.perf_counter(), time.process_time()
        work()
        wall.append(round(cells / (time.perf_counter() - began), 1))
        processor.append(round(cells / (time.process_time() - busy), 1))
    return {"per_second_wall": wall, "per_second_processor": processor}


if __name__ == "__main__":
    main()
