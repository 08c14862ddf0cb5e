"""ALLNet at the paper's 250x250, all of its channels, to every format: time and memory.

    python benchmarks/convert_full_size.py [--size 250] [--images 32]

Weights are random and calibration cells are phantoms: this measures the conversion, not the
network. Each step runs in a process of its own, as in a build. Writes
benchmarks/results/convert_full_size.json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from allnet_edge.artifacts.files import write_json
from allnet_edge.measure.system import describe, package_version

RESULT = Path(__file__).parent / "results" / "convert_full_size.json"
TOOLS = ("tensorflow", "tf2onnx", "onnx", "onnxruntime", "ai-edge-quantizer", "tensorrt-rtx")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=250)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--step", choices=sorted(STEPS))
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.step:
        STEPS[arguments.step](arguments.folder, arguments.size, arguments.images)
        return
    with tempfile.TemporaryDirectory() as folder:
        steps = {}
        for step in STEPS:
            steps[step] = measured(step, Path(folder), arguments)
            print(step, steps[step], flush=True)
        sizes = {path.name: path.stat().st_size for path in sorted(Path(folder).iterdir())}
    figures = {
        "date": date.today().isoformat(),
        "machine": describe().model_dump(mode="json"),
        "versions": {name: package_version(name) for name in TOOLS},
        "input_size": arguments.size,
        "calibration_images": arguments.images,
        "steps": steps,
        "total_seconds": round(sum(step["seconds"] for step in steps.values()), 1),
        "peak_rss_gib": max(step["peak_rss_gib"] for step in steps.values()),
        "bytes": sizes,
    }
    write_json(RESULT, figures)


def measured(step: str, folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            sys.executable,
            __file__,
            *("--step", step, "--folder", str(folder)),
            *("--size", str(arguments.size), "--images", str(arguments.images)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{step} failed: run it alone with --step {step} --folder FOLDER")
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "peak_rss_gib": round(usage.ru_maxrss / 2**20, 2),
    }


def network(size: int):
    import tf_keras

    from allnet_edge import models
    from allnet_edge.spec.network import NetworkSpec, Preprocess

    tf_keras.utils.set_random_seed(0)
    spec = NetworkSpec(
        network="allnet",
        preprocess=Preprocess(size=size, mean=(60.0,), sd=(50.0,)),
        classes=("hem", "all"),
    )
    return models.build(tf_keras, spec)


def cells(size: int, images: int):
    from allnet_edge.data.phantom import generate

    return generate(images, patients=6, seed=0, size=size).images


def to_onnx(folder: Path, size: int, _images: int) -> None:
    import onnx

    from allnet_edge.convert.onnx_from_keras import onnx_from_keras

    onnx.save(onnx_from_keras(network(size), size), folder / "model.fp32.onnx")


def to_tflite(folder: Path, size: int, _images: int) -> None:
    from allnet_edge.convert.tflite_from_keras import tflite_from_keras

    (folder / "model.fp32.tflite").write_bytes(tflite_from_keras(network(size), size))


def to_int8_onnx(folder: Path, size: int, images: int) -> None:
    from allnet_edge.convert.estimators import estimate_all
    from allnet_edge.convert.observe_onnx import observe_onnx
    from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx

    source = folder / "model.fp32.onnx"
    seen = observe_onnx(source, cells(size, images), threads=2)
    ranges = estimate_all(seen, "min-max", symmetric=True)
    qdq_from_onnx(source, folder / "model.int8.onnx", ranges)


def to_int8_tflite(folder: Path, size: int, images: int) -> None:
    from allnet_edge.convert.estimators import estimate_all
    from allnet_edge.convert.int8_from_tflite import int8_from_tflite
    from allnet_edge.convert.observe_tflite import observe_tflite

    source = folder / "model.fp32.tflite"
    seen = observe_tflite(source, cells(size, images), threads=2)
    ranges = estimate_all(seen, "min-max", symmetric=False)
    (folder / "model.int8.tflite").write_bytes(int8_from_tflite(source, ranges))


def to_fp16_onnx(folder: Path, _size: int, _images: int) -> None:
    from allnet_edge.convert.fp16_from_onnx import fp16_from_onnx

    fp16_from_onnx(folder / "model.fp32.onnx", folder / "model.fp16.onnx")


def prove(folder: Path, _size: int, _images: int) -> None:
    import tensorrt_rtx

    from allnet_edge.convert.engine_from_onnx import EngineBuilder

    builder = EngineBuilder(tensorrt_rtx)
    for graph in sorted(folder.glob("*.onnx")):
        for sm in (86, 89):
            builder.build(graph, sm=sm)


STEPS: dict[str, Callable[[Path, int, int], None]] = {
    "onnx fp32": to_onnx,
    "tflite fp32": to_tflite,
    "onnx fp16": to_fp16_onnx,
    "onnx int8": to_int8_onnx,
    "tflite int8": to_int8_tflite,
    "TensorRT-RTX proof of three graphs, SM 8.6 and 8.9": prove,
}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
