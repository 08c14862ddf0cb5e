"""kill -9 while fields are stored: is everything there that was acknowledged?

python benchmarks/store_kill.py             writes benchmarks/results/store_kill.json
python benchmarks/store_kill.py --write F   the process that is killed: stores fields until then
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from allnet_edge.artifacts.files import write_json
from allnet_edge.device.fields.results import CellResult, FieldResult, Reason
from allnet_edge.device.store.records import NewSlide, StoredCell
from allnet_edge.device.store.store import Store
from allnet_edge.errors import UnknownNameError
from allnet_edge.measure.system import describe

KILLS = 20
CELLS = 10
LONGEST_S = 3.0
RESULT = Path(__file__).parent / "results" / "store_kill.json"


def new_slide(name: str) -> NewSlide:
    return NewSlide(
        name=name,
        bundle="phantom",
        bundle_sha256="0" * 64,
        candidate="tflite-int8",
        verdict="pass",
        model="student",
        classes=("healthy", "blast"),
        positive="blast",
        phantom=True,
        source="folder",
        scale=1.0,
        scale_known="not calibrated",
        threshold=0.5,
    )


def field(number: int, cells: int = CELLS) -> FieldResult:
    """A field that is known from its number alone."""
    rng = random.Random(number)
    found = []
    for index in range(cells):
        probability = rng.random()
        x, y = rng.randrange(600), rng.randrange(440)
        outline = tuple((x + rng.randrange(40), y + rng.randrange(40)) for _ in range(64))
        uncertain = 0.45 < probability < 0.55
        found.append(
            CellResult(
                index,
                (x, y, x + 40, y + 40),
                outline,
                "blast" if probability >= 0.5 else "healthy",
                probability,
                Reason.uncertain if uncertain else None,
                "in the band" if uncertain else "",
                stain_distance=rng.random() * 3,
            )
        )
    spans = {"find": rng.randrange(10**8), "infer": rng.randrange(10**8)}
    taken = datetime.fromtimestamp(number, timezone.utc)
    return FieldResult(number, f"{number}.png", taken, 640, 480, tuple(found), spans_ns=spans)


def write(folder: Path) -> None:
    """Store fields and print what was acknowledged, until killed."""
    with Store.open(folder) as store:
        slide = store.start_slide(new_slide("to be killed"))
        number = 0
        while True:
            ids = store.add_field(slide, field(number))
            print(json.dumps({"slide": slide, "number": number, "cells": ids}), flush=True)
            if number % 5 == 0:
                store.correct(ids[0], "not_a_cell")
                print(json.dumps({"corrected": ids[0]}), flush=True)
            number += 1


# Any, here and below: lines of JSON that the killed writer printed, and counts made of them.
def trial(folder: Path, seconds: float) -> dict[str, Any]:
    """Kill a writer ``seconds`` after its first field; what was acknowledged and what is there."""
    lines = _killed(folder, seconds)
    acknowledged = [line for line in lines if "number" in line]
    corrected = [line["corrected"] for line in lines if "corrected" in line]
    with Store.open(folder) as store:
        store.check()  # raises where a page is damaged or a value altered
        slide = store.slide(acknowledged[0]["slide"])
        lost = sum(_lost(store, line) for line in acknowledged)
        lost += sum(_verdict(store.cell(cell)) != "not_a_cell" for cell in corrected)
    return {
        "killed_after_seconds": round(seconds, 3),
        "acknowledged_fields": len(acknowledged),
        "acknowledged_cells": sum(len(line["cells"]) for line in acknowledged),
        "acknowledged_corrections": len(corrected),
        "lost": lost,
        "fields_stored_and_not_yet_acknowledged": slide.fields - len(acknowledged),
        "slide": slide.state,
    }


def _killed(folder: Path, seconds: float) -> list[dict[str, Any]]:
    """What a writer had acknowledged when it was killed."""
    command = [sys.executable, __file__, "--write", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        lines = iter(child.stdout or ())
        first = next(lines)
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        return [json.loads(line) for line in (first, *lines)]


def _lost(store: Store, line: dict[str, Any]) -> int:
    """How many acknowledged cells of a field are absent or not what was handed over."""
    lost = 0
    for expected, key in zip(field(line["number"]).cells, line["cells"], strict=True):
        try:
            cell = store.cell(key)
        except UnknownNameError:
            lost += 1
            continue
        known = store.field(cell.field)
        lost += (known.slide, known.number) != (line["slide"], line["number"]) or any(
            getattr(cell, name) != getattr(expected, name)
            for name in ("index", "box", "outline", "label", "probability", "reason", "detail")
        )
    return lost


def _verdict(cell: StoredCell) -> str | None:
    return None if cell.correction is None else cell.correction.verdict


def main() -> None:
    rng = random.Random(6)
    with tempfile.TemporaryDirectory(dir=RESULT.parent) as folder:
        trials = [trial(Path(folder), rng.uniform(0, LONGEST_S)) for _ in range(KILLS)]
        size = (Path(folder) / "store.sqlite3").stat().st_size
    total = {
        name: sum(one[name] for one in trials)
        for name in (
            "acknowledged_fields",
            "acknowledged_cells",
            "acknowledged_corrections",
            "lost",
        )
    }
    figures = {
        "date": date.today().isoformat(),
        "machine": describe().model_dump(mode="json"),
        "kills": len(trials),
        **total,
        "interrupted": sum(one["slide"] == "interrupted" for one in trials),
        "database_mb": round(size / 1e6, 1),
        "trials": trials,
    }
    write_json(RESULT, figures)
    print({name: value for name, value in figures.items() if name not in {"trials", "machine"}})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(Path(sys.argv[2]))
    else:
        main()
