"""The same float network and the same cells through other people's int8 tools and through ours.

    python benchmarks/peers.py --build BUILD --run RUN --data DIR [--openvino-python PYTHON]

BUILD is a finished `allnet-edge build --run RUN --data DIR`. Every tool is handed the float network
and the calibration images of that build, with the defaults of the tool:

- `tflite`: TFLiteConverter with a representative data set.
- `onnxruntime`: quant_pre_process and quantize_static.
- `nncf`: OpenVINO and nncf.quantize; `nncf-accuracy`: quantize_with_accuracy_control, judged on the
  validation cells by balanced accuracy. Both need `--openvino-python`, an interpreter with openvino
  and nncf (they want another numpy than TensorFlow); without it the rows say `not measured`.
- `ours-...`: the candidates of the build.

Scores are on the test cells, which no tool has seen; thresholds are transferred from the float
network on validation cells for all alike. Latency: one image at a time, the same number of threads,
in rounds that go through all of them one after the other. Writes results/peers-NAME.json.
"""

import argparse
import json
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.files import read_json, write_json
from allnet_edge.data.images import load_batch
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import load_split
from allnet_edge.engines.opening import open_file
from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.gate import judge
from allnet_edge.measure.system import describe, package_version
from allnet_edge.measure.thresholds import transfer_threshold
from allnet_edge.models.storage import float_model
from allnet_edge.pipeline.sources import cells_of
from allnet_edge.spec.gate import GateSpec

RESULTS = Path(__file__).parent / "results"
Images = npt.NDArray[np.uint8]
Infer = Callable[[Images], npt.NDArray[np.float32]]
OWN = {
    "ours-litert-fp32": "export_tflite/model.fp32.tflite",
    "ours-onnx-fp32": "export_onnx/model.fp32.onnx",
    "ours-litert-int8": "quantize/model.int8.tflite",
    "ours-onnx-int8": "quantize/model.int8.onnx",
    "ours-litert-mixed": "mixed/model.mixed.tflite",
    "ours-onnx-mixed": "mixed/model.mixed.onnx",
}
SECONDS_OF_OWN = {"litert": ("export_tflite", "quantize"), "onnx": ("export_onnx", "quantize")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--openvino-python", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--patience", type=float, default=3600.0, help="seconds for one tool")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--work", type=Path, required=True, help="where the tools' files go")
    parser.add_argument("--name", help="of the result; default the network's")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    data = Data(arguments)
    with ExitStack() as stack:
        tools, missing = tools_of(arguments, data, stack)
        rows = {name: scored(tool, data) for name, tool in tools.items()}
        measure(tools, rows, data, arguments.rounds)
    for name, why in missing.items():
        rows[name] = {"not_measured": why}
    result = {
        "date": date.today().isoformat(),
        "machine": describe(("ai-edge-litert", "onnxruntime", "tensorflow")).model_dump(
            mode="json"
        ),
        "threads": arguments.threads,
        "network": data.model.spec.network,
        "input_size": data.model.spec.input_size,
        "data": data.facts(),
        "rows": rows,
    }
    name = arguments.name or data.model.spec.network
    write_json(RESULTS / f"peers-{name}.json", result)
    for tool, row in rows.items():
        print(f"{tool:22s}", {k: v for k, v in row.items() if k != "ms"})


class Data:
    """The cells, and what the float network says about them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        build, run = arguments.build, arguments.run
        self.build = build
        self.model = float_model.read(run)
        pruned = build / "prune"
        self.folder = pruned if (pruned / float_model.DESCRIPTION).is_file() else run
        index, split = load_index(arguments.data), load_split(run / "split.json")
        split.verify(index)
        self.images, self.cells = {}, {}
        for part in ("validation", "test"):
            samples = split.samples(part, index)
            paths = [index.path(sample) for sample in samples]
            self.images[part] = load_batch(paths, self.model.spec.preprocess)
            self.cells[part] = cells_of(samples, self.model)
        listed = {row["sha256"] for row in read_json(build / "quantize/calibration.json")["images"]}
        chosen = [sample for sample in split.samples("train", index) if sample.sha256 in listed]
        self.calibration = load_batch([index.path(s) for s in chosen], self.model.spec.preprocess)
        with np.load(build / "reference" / "reference.npz") as stored:
            self.threshold = float(stored["threshold"])
            self.reference = {p: stored[f"{p}_scores"] for p in ("validation", "test")}
        self.split = split

    def facts(self) -> dict[str, object]:
        """Of the cells that are judged."""
        test: Cells = self.cells["test"]
        return {
            "n": len(test), "positives": test.positives, "patients": test.patient_count,
            "split": self.split.protocol, "phantom": self.split.layout == "phantom",
            "calibration_images": len(self.calibration),
        }  # fmt: skip


class Tool:
    """One int8 (or float) form, ready to run."""

    def __init__(self, infer: Infer, file: Path, seconds: float | None, version: str) -> None:
        self.infer, self.file, self.seconds, self.version = infer, file, seconds, version

    def timed(self, images: Images) -> list[float]:
        """Milliseconds of each image, one a call."""
        found = []
        for image in images:
            began = time.perf_counter_ns()
            self.infer(image[None])
            found.append((time.perf_counter_ns() - began) / 1e6)
        return found


def tools_of(
    arguments: argparse.Namespace, data: Data, stack: ExitStack
) -> tuple[dict[str, Tool], dict[str, str]]:
    tools: dict[str, Tool] = {}
    for name, place in OWN.items():
        path = arguments.build / place
        if path.is_file():
            runner = stack.enter_context(open_file(path, arguments.threads))
            stages = SECONDS_OF_OWN[name.split("-")[1]]
            if "fp32" in name:
                stages = stages[:1]
            if "mixed" in name:
                stages = (*stages, "mixed")
            seconds = sum(read_json(arguments.build / s / "stage.json")["seconds"] for s in stages)
            tools[name] = Tool(runner.infer, path, seconds, "")
    tools["tflite"] = from_tflite(data, arguments)
    tools["onnxruntime"] = from_onnxruntime(data, arguments, stack)
    if arguments.openvino_python is None:
        why = "no --openvino-python was given"
        return tools, {"nncf": why, "nncf-accuracy": why}
    missing = {}
    for name, control in (("nncf", False), ("nncf-accuracy", True)):
        try:
            tools[name] = OpenVino(name, data, arguments, control=control)
        except RuntimeError as error:  # noqa: PERF203  # two tools
            missing[name] = str(error)
    return tools, missing


def from_tflite(data: Data, arguments: argparse.Namespace) -> Tool:
    import tensorflow as tf
    import tf_keras

    _, network = float_model.instantiate(tf_keras, data.folder)
    began = time.perf_counter()
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [image[None].astype(np.float32)] for image in data.calibration
    )
    path = arguments.work / "tflite.tflite"
    path.write_bytes(converter.convert())
    seconds = time.perf_counter() - began
    return Tool(bare_litert(path, arguments.threads), path, seconds, tf.__version__)


def bare_litert(path: Path, threads: int) -> Infer:
    """The plain interpreter, as its documentation shows it."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    size = interpreter.get_input_details()[0]["shape"][1]
    source = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(source, [1, size, size, 3])  # from_keras_model leaves it open
    interpreter.allocate_tensors()
    target = interpreter.get_output_details()[0]["index"]

    def infer(images: Images) -> npt.NDArray[np.float32]:
        interpreter.set_tensor(source, images.astype(np.float32))
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return infer


def from_onnxruntime(data: Data, arguments: argparse.Namespace, stack: ExitStack) -> Tool:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.images = iter(data.calibration)

        def get_next(self) -> dict[str, Images] | None:
            image = next(self.images, None)
            return None if image is None else {"pixels": image[None]}

    source = arguments.build / "export_onnx" / "model.fp32.onnx"
    prepared, path = arguments.work / "prepared.onnx", arguments.work / "onnxruntime.onnx"
    began = time.perf_counter()
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)  # that needs sympy
    quantize_static(str(prepared), str(path), Reader())
    seconds = time.perf_counter() - began
    runner = stack.enter_context(open_file(path, arguments.threads))
    return Tool(runner.infer, path, seconds, package_version("onnxruntime") or "")


class OpenVino(Tool):
    """OpenVINO in its own interpreter; one line of JSON each way, pixels through a file."""

    def __init__(
        self, name: str, data: Data, arguments: argparse.Namespace, *, control: bool
    ) -> None:
        work = arguments.work / name
        work.mkdir(exist_ok=True)
        np.savez(
            work / "cells.npz", calibration=data.calibration, validation=data.images["validation"],
            labels=data.cells["validation"].labels, test=data.images["test"],
        )  # fmt: skip
        script = Path(__file__).with_name("peers_openvino.py")
        source = arguments.build / "export_onnx" / "model.fp32.onnx"
        with (work / "log.txt").open("w") as log:
            self._process = subprocess.Popen(
                [
                    arguments.openvino_python, script, source, work, str(arguments.threads),
                    "control" if control else "plain",
                ],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self._patience = arguments.patience
        told = self._told()
        self.answers = {p: np.array(told["answers"][p], np.float32) for p in ("validation", "test")}
        super().__init__(self._never, Path(told["weights"]), told["seconds"], told["version"])

    def _told(self) -> dict:
        waits = threading.Timer(self._patience, self._process.kill)
        waits.start()
        line = self._process.stdout.readline()
        waits.cancel()
        if self._process.poll() == -signal.SIGKILL:
            raise RuntimeError(f"not finished within {self._patience:.0f} s")
        if not line.strip():
            raise RuntimeError(f"openvino or nncf failed with exit code {self._process.wait()}")
        return json.loads(line)

    @staticmethod
    def _never(images: Images) -> npt.NDArray[np.float32]:
        raise RuntimeError(f"the answers to {len(images)} images came with the first line")

    def timed(self, images: Images) -> list[float]:
        """Milliseconds of each image, measured over there."""
        self._process.stdin.write(f"{len(images)}\n")
        self._process.stdin.flush()
        return self._told()["ms"]


def scored(tool: Tool, data: Data) -> dict[str, object]:
    if isinstance(tool, OpenVino):
        answers = tool.answers
    else:
        answers = {
            part: np.concatenate(
                [np.asarray(tool.infer(image[None])).reshape(-1) for image in data.images[part]]
            ).astype(np.float32)
            for part in ("validation", "test")
        }
    threshold = transfer_threshold(
        data.reference["validation"], data.threshold, answers["validation"]
    )
    verdict = judge(
        data.cells["test"],
        Scores(data.reference["test"], data.threshold),
        Scores(answers["test"], threshold),
        GateSpec(),
    )
    drops = {check.metric: check.delta for check in verdict.checks}
    worst = min(drops["sensitivity"], drops["specificity"])
    return {
        "verdict": verdict.verdict,
        "delta": drops,
        "worst_class_drop": -worst,
        "flips": verdict.flips.positive_to_negative + verdict.flips.negative_to_positive,
        "size_mb": tool.file.stat().st_size / 1e6,
        "build_seconds": tool.seconds,
        "version": tool.version,
    }


def measure(
    tools: dict[str, Tool], rows: dict[str, dict[str, object]], data: Data, rounds: int
) -> None:
    images = data.images["test"][:12]
    rounds_of: dict[str, list[float]] = {name: [] for name in tools}
    for number in range(rounds + 1):
        for name, tool in tools.items():
            time.sleep(0.05)  # threads of the one before may still be spinning
            tool.timed(images[:3])
            samples = tool.timed(images)
            if number:  # the first round warms up
                rounds_of[name].append(statistics.median(samples))
    for name, medians in rounds_of.items():
        rows[name]["latency_ms"] = statistics.median(medians)
        rows[name]["ms"] = [round(value, 4) for value in medians]


if __name__ == "__main__":
    main()
