"""kill -9 in the middle of a slide: is every field that was acknowledged in the database?

    python benchmarks/kill_live.py BUNDLE FIELDS [--kills 20] [--seed 1]

``allnet-edge run --format jsonl --store`` works on a folder that comes round and round, and is
killed at a random moment. A line of its stdout acknowledges a field: each must be in the store
afterwards, with the same cells, probabilities and reasons, and the store must open without repair.
All kills hit one store, as a device that loses its power again and again. Written to
benchmarks/results/kill_live.json.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from allnet_edge.device.store.store import Store
from allnet_edge.measure.system import describe

RESULT = Path(__file__).parent / "results" / "kill_live.json"
LONGEST_START_S = 60.0


def one_kill(arguments: argparse.Namespace, folder: Path, delay_s: float) -> list[dict]:
    """The fields that were acknowledged before the kill."""
    command = [
        sys.executable, "-m", "allnet_edge", "run", str(arguments.bundle),
        "--source", str(arguments.fields), "--repeat", "--capture", "every",
        "--rate", str(arguments.rate), "--store", str(folder), "--format", "jsonl",
        "--threads", "1", "--quiet",
    ]  # fmt: skip
    lines: list[str] = []
    first = threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def collect() -> None:
        for line in process.stdout:
            lines.append(line)
            first.set()

    reader = threading.Thread(target=collect)
    reader.start()
    try:
        if not first.wait(LONGEST_START_S):
            raise RuntimeError("no field was acknowledged in time")
        time.sleep(delay_s)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        reader.join()
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError(f"it ended by itself: {process.stderr.read()}")
    process.stderr.close()
    # A line that the kill cut through was not read whole, and so acknowledges nothing.
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return [line for line in whole if line["kind"] == "field"]


def lost(store: Store, told: list[dict]) -> list[str]:
    """What was acknowledged and is not in the store, or is there otherwise."""
    wrong = []
    for line in told:
        for cell in line["cells"]:
            kept = store.cell(cell["id"])
            same = (kept.label, kept.probability, list(kept.box)) == (
                cell["label"], cell["probability"], cell["box"],
            )  # fmt: skip
            reason = None if kept.reason is None else kept.reason.name
            if not same or reason != cell["reason"]:
                wrong.append(f"cell {cell['id']}")
    by_slide: dict[int, set[int]] = {}
    for line in told:
        by_slide.setdefault(line["slide"], set()).add(line["number"])
    for slide, numbers in by_slide.items():
        after, there = 0, set()
        while page := store.fields(slide, 1000, after=after):
            there |= {field.number for field in page}
            after = page[-1].id
        wrong += [f"slide {slide}, field {number}" for number in sorted(numbers - there)]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("fields", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--longest", type=float, default=3.0, help="seconds after the first line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    rows, wrong = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        for kill in range(arguments.kills):
            delay = rng.uniform(0, arguments.longest)
            told = one_kill(arguments, folder, delay)
            with Store.open(folder) as store:
                store.check()
                missing = lost(store, told)
                slide = store.slide(told[0]["slide"])
            wrong += missing
            rows.append({
                "delay_s": round(delay, 3), "acknowledged": len(told), "stored": slide.fields,
                "cells": sum(len(line["cells"]) for line in told), "state": slide.state,
                "lost": missing,
            })  # fmt: skip
            print(f"kill {kill + 1}: {rows[-1]}", flush=True)
    found = {
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": describe().model_dump(mode="json"),
        "kills": arguments.kills,
        "rate_hz": arguments.rate,
        "acknowledged_fields": sum(row["acknowledged"] for row in rows),
        "acknowledged_cells": sum(row["cells"] for row in rows),
        "lost": wrong,
        "rows": rows,
        "passed": not wrong,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    print("passed" if not wrong else "FAILED", "->", arguments.out)
    return 0 if not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
