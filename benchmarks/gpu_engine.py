"""The runtime half of TensorRT on the GPU of this machine: does it agree, and how fast is it?

    python benchmarks/gpu_engine.py BUNDLE/model/*.onnx [-o RESULT.json]

Each graph is built for the GPU that is found, by TensorRT or else by TensorRT-RTX; its engine is
compared with ONNX Runtime on phantom cells; and one query after the other is timed, with and
without a CUDA graph, the copies apart. Without a GPU every row says `not measured` and why. A
figure from a GPU that is no Jetson says nothing about a Jetson.
"""

import argparse
import importlib.util
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType

import numpy as np

from allnet_edge.artifacts.files import write_json
from allnet_edge.convert.engine_from_onnx import BuildOptions, EngineBuilder
from allnet_edge.data.phantom import generate
from allnet_edge.engines.base import Images
from allnet_edge.engines.cuda import Cuda
from allnet_edge.engines.opening import open_file
from allnet_edge.engines.tensorrt_fit import Here
from allnet_edge.engines.tensorrt_runner import TensorRtRunner
from allnet_edge.errors import AllnetEdgeError, EnvironmentMismatch
from allnet_edge.measure.latency import measure_single_stream
from allnet_edge.measure.queries import Decoded
from allnet_edge.measure.system import describe

RESULT = Path(__file__).parent / "results" / "gpu_engine.json"
MODULES = ("tensorrt", "tensorrt_rtx")
PRECISIONS = ("fp32", "fp16", "int8", "mixed")
IMAGES = 16
SPANS = 200


@dataclass(frozen=True)
class Device:
    """What is measured on."""

    trt: ModuleType
    cuda: Cuda
    here: Here


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graphs", type=Path, nargs="+", help="ONNX files of a bundle")
    parser.add_argument("--mode", choices=("quick", "standard", "full"), default="quick")
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    told = parser.parse_args(argv)
    try:
        device = look()
    except EnvironmentMismatch as error:
        rows = [not_measured(graph, error.what) for graph in told.graphs]
        facts: dict[str, object] = {"gpu": None, "tensorrt": None}
    else:
        rows = [row(device, graph, told.mode) for graph in told.graphs]
        gpu = device.here.gpu
        facts = {
            "gpu": {"name": gpu.name, "sm": gpu.sm, "cuda": gpu.runtime, "driver": gpu.driver},
            "tensorrt": f"{device.trt.__name__} {device.here.tensorrt}",
        }
    write_json(
        told.output,
        {
            "date": date.today().isoformat(),
            "machine": describe().model_dump(mode="json"),
            "mode": told.mode,
            **facts,
            "rows": rows,
        },
    )
    for one in rows:
        print(one)


def look() -> Device:
    """The GPU and the TensorRT of this machine; raises EnvironmentMismatch."""
    cuda = Cuda.load()
    cuda.gpu()
    for name in MODULES:
        if importlib.util.find_spec(name) is not None:
            trt = importlib.import_module(name)
            return Device(trt, cuda, Here.of(trt, cuda))
    raise EnvironmentMismatch(f"none of {', '.join(MODULES)} is installed here")


def row(device: Device, graph: Path, mode: str) -> dict[str, object]:
    try:
        return measure(device, graph, mode)
    except AllnetEdgeError as error:
        return not_measured(graph, error.what)


def measure(device: Device, graph: Path, mode: str) -> dict[str, object]:
    """Build one graph, compare it, and time it."""
    precision = next((one for one in PRECISIONS if f".{one}." in graph.name), "fp32")
    began = time.monotonic()
    built = EngineBuilder(device.trt).build(graph, BuildOptions(precision, workspace_mb=4096))
    seconds = time.monotonic() - began
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.engine"
        path.write_bytes(built.engine)
        with open_file(graph) as reference:
            images = generate(IMAGES, patients=6, seed=5, size=reference.input_shape[0]).images
            expected = reference.infer(images)
        with TensorRtRunner(path, device.trt, cuda=device.cuda) as runner:
            largest = float(np.abs(runner.infer(images) - expected).max())
            launched = measure_single_stream(Decoded(runner, images), mode)
            recorded, spans = runner.uses_graph, spans_of(runner, images)
        with TensorRtRunner(path, device.trt, cuda=device.cuda, graph=False) as runner:
            queued = measure_single_stream(Decoded(runner, images), mode)
    return {
        "graph": graph.name,
        "precision": precision,
        "build_seconds": round(seconds, 1),
        "engine_mb": round(len(built.engine) / 1e6, 2),
        "largest_difference_from_onnxruntime": largest,
        "cuda_graph": recorded,
        "latency_ms": launched.summary.model_dump(),
        "latency_ms_without_cuda_graph": queued.summary.model_dump(),
        "n": launched.n,
        "median_span_ms": spans,
        "remarks": [*launched.why_invalid, *launched.remarks],
    }


def spans_of(runner: TensorRtRunner, images: Images) -> dict[str, float]:
    """Medians of the parts of a query, by the GPU's clock."""
    taken = []
    for number in range(SPANS):
        runner.infer(images[number % len(images)][None])
        taken.append(runner.copy_times())
    medians = np.median(np.array(taken), axis=0) / 1e6
    names = ("host_to_device", "inference", "device_to_host")
    return dict(zip(names, map(float, medians), strict=True))


def not_measured(graph: Path, why: str) -> dict[str, object]:
    return {"graph": graph.name, "latency_ms": "not measured", "why": why}


if __name__ == "__main__":
    main()
