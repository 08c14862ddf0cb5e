"""What compression pays: finished builds side by side, latency measured in one run.

    python benchmarks/compression.py --name NAME --run RUN --data DIR whole=BUILD half=BUILD ...

The first build is the float network's own; the others are pruned forms or students of it, each with
the verdict of its own gate. All forms are measured in interleaved rounds on real images of the
first build's validation cells, prepared as each network wants them. Ratios are to the first build's
litert-fp32. Writes benchmarks/results/compression-NAME.json.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import cycle
from pathlib import Path

from allnet_edge.artifacts.files import read_json, write_json
from allnet_edge.data.images import load_batch
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import load_split
from allnet_edge.engines.opening import open_file
from allnet_edge.measure.system import describe
from allnet_edge.models.storage import float_model
from allnet_edge.search.rounds import ROUNDS, Latency, Open, Query, Turn, measure_round
from allnet_edge.spec.network import Preprocess

RESULTS = Path(__file__).parent / "results"
FILES = {
    "litert-fp32": "export_tflite/model.fp32.tflite",
    "litert-int8": "quantize/model.int8.tflite",
    "litert-qat": "qat_tflite/model.qat.tflite",
    "litert-mixed": "mixed/model.mixed.tflite",
    "onnx-fp32": "export_onnx/model.fp32.onnx",
    "onnx-int8": "quantize/model.int8.onnx",
    "onnx-qat": "qat_onnx/model.qat.onnx",
    "onnx-mixed": "mixed/model.mixed.onnx",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("builds", nargs="+", help="NAME=BUILD, the float network's own first")
    parser.add_argument("--name", required=True)
    parser.add_argument("--run", type=Path, required=True, help="of the first build")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mode", choices=("quick", "standard", "full"), default="standard")
    arguments = parser.parse_args()
    builds = {
        name: Path(path) for name, _, path in (one.partition("=") for one in arguments.builds)
    }
    split, index = load_split(arguments.run / "split.json"), load_index(arguments.data)
    paths = [index.path(sample) for sample in split.samples("validation", index)[:24]]
    rows = {f"{name} {form}": row for name, build in builds.items() for form, row in forms(build)}
    queries = {
        key: opener(Path(row["file"]), paths, preprocess_of(builds[key.split()[0]], arguments.run),
                    arguments.threads)
        for key, row in rows.items()
    }  # fmt: skip
    turns: dict[str, list[Turn]] = {key: [] for key in rows}
    plan = ROUNDS[arguments.mode]
    for number in range(plan.rounds):
        for key, turn in measure_round(queries, number, plan).items():
            turns[key].append(turn)
        print(f"round {number + 1}/{plan.rounds}", flush=True)
    first = next(iter(builds))
    base = Latency.of(turns[f"{first} litert-fp32"]).p50
    for key, row in rows.items():
        latency = Latency.of(turns[key])
        row |= {"latency_ms": latency.model_dump(mode="json"), "times_faster": base / latency.p50}
        del row["file"]
        print(f"{key:24s} {row['verdict']:13s} {latency.p50:8.3f} ms {row['times_faster']:6.1f} x")
    write_json(
        RESULTS / f"compression-{arguments.name}.json",
        {
            "date": date.today().isoformat(),
            "machine": describe(("ai-edge-litert", "onnxruntime")).model_dump(mode="json"),
            "threads": arguments.threads,
            "mode": arguments.mode,
            "layout": split.layout,
            "phantom": split.layout == "phantom",
            "split": split.protocol,
            "builds": {name: about(build) for name, build in builds.items()},
            "rows": rows,
        },
    )


def forms(build: Path) -> Iterator[tuple[str, dict]]:
    """Every form of a build with its verdict."""
    gate = read_json(build / "gate" / "gate.json")
    for candidate in gate["candidates"]:
        place = FILES.get(candidate["id"])
        if place is None:
            continue
        path = build / place
        yield (
            candidate["id"],
            {
                "file": str(path),
                "size_mb": path.stat().st_size / 1e6,
                "verdict": candidate["verdict"],
                "checks": candidate["checks"],
                "flips": candidate["flips"],
            },
        )


def about(build: Path) -> dict[str, object]:
    gate, manifest = read_json(build / "gate" / "gate.json"), read_json(build / "manifest.json")
    found: dict[str, object] = {
        "n": gate["n"],
        "patients": gate["patients"],
        "method": gate["method"],
        "recipe": manifest["recipe"],
        "seconds": {name: row["seconds"] for name, row in manifest["stages"].items()},
    }
    for step in ("own", "pruned"):
        path = build / "gate" / f"{step}.json"
        if path.is_file():
            found[step] = read_json(path)
    return found


def preprocess_of(build: Path, run: Path) -> Preprocess:
    """As the network of a build wants its images: the bundle says it."""
    path = build / "bundle" / "preprocess.json"
    if path.is_file():
        return Preprocess.model_validate(read_json(path))
    return float_model.read(run).spec.preprocess


def opener(path: Path, images: list[Path], preprocess: Preprocess, threads: int) -> Open:
    pixels = load_batch(images, preprocess)

    @contextmanager
    def opened() -> Iterator[Query]:
        with open_file(path, threads) as runner:
            turn = cycle([image[None] for image in pixels])
            yield lambda: runner.infer(next(turn))

    return opened


if __name__ == "__main__":
    main()
