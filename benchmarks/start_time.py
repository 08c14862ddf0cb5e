"""How long `allnet-edge infer --help` takes, and which heavy packages it imports.

python benchmarks/start_time.py        writes benchmarks/results/start_time.json
"""

import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from allnet_edge.artifacts.files import write_json
from allnet_edge.measure.system import describe

RUNS = 9
HEAVY = ("tensorflow", "keras", "tf_keras", "onnx", "onnxruntime", "sklearn", "numpy", "PIL")
RESULT = Path(__file__).parent / "results" / "start_time.json"


def main() -> None:
    command = [sys.executable, "-m", "allnet_edge", "infer", "--help"]
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    traced = subprocess.run(
        [sys.executable, "-X", "importtime", *command[1:]],
        check=True,
        capture_output=True,
        text=True,
    )
    imported = {
        line.rsplit("|", 1)[-1].strip().split(".")[0] for line in traced.stderr.splitlines()
    }
    figures = {
        "date": date.today().isoformat(),
        "machine": describe().model_dump(mode="json"),
        "runs": RUNS,
        "median_seconds": round(statistics.median(seconds), 3),
        "max_seconds": round(max(seconds), 3),
        "heavy_packages_imported": sorted(imported & set(HEAVY)),
    }
    write_json(RESULT, figures)
    print(figures)


if __name__ == "__main__":
    main()
