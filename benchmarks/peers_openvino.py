"""The OpenVINO side of peers.py, for an interpreter that has openvino, nncf and numpy.

python peers_openvino.py GRAPH.onnx WORK THREADS plain|control
"""

import json
import os
import sys
import time
from pathlib import Path

import nncf
import numpy as np
import openvino as ov


def main() -> None:
    graph, work, threads, mode = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    # Both libraries print, and not only through sys.stdout.
    answers_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with np.load(work / "cells.npz") as stored:
        cells = dict(stored)
    core = ov.Core()
    model = core.read_model(graph)
    began = time.perf_counter()
    quantized = quantize(model, cells, threads, control=mode == "control")
    seconds = time.perf_counter() - began
    path = work / "model.xml"
    ov.save_model(quantized, path, compress_to_fp16=False)
    compiled = compile_(core, core.read_model(path), threads)
    request = compiled.create_infer_request()
    answers = {
        part: probabilities(request, cells[part]).tolist() for part in ("validation", "test")
    }
    tell = {
        "answers": answers,
        "seconds": seconds,
        "weights": str(path.with_suffix(".bin")),
        "version": f"openvino {ov.__version__}, nncf {nncf.__version__}",
    }
    print(json.dumps(tell), file=answers_to, flush=True)
    for line in sys.stdin:
        samples = []
        for image in cells["test"][: int(line)]:
            start = time.perf_counter_ns()
            request.infer({0: image[None]})
            samples.append((time.perf_counter_ns() - start) / 1e6)
        print(json.dumps({"ms": samples}), file=answers_to, flush=True)


def quantize(
    model: ov.Model, cells: dict[str, np.ndarray], threads: int, *, control: bool
) -> ov.Model:
    calibration = nncf.Dataset(list(cells["calibration"]), lambda image: image[None])
    if not control:
        return nncf.quantize(model, calibration, subset_size=len(cells["calibration"]))
    core = ov.Core()
    pairs = list(zip(cells["validation"], cells["labels"], strict=True))
    validation = nncf.Dataset(pairs, lambda pair: pair[0][None])
    threshold = best_threshold(core, model, cells, threads)

    def balanced_accuracy(compiled: ov.CompiledModel, items: object) -> tuple[float, None]:
        images, labels = zip(*items, strict=True)
        scores = probabilities(compiled.create_infer_request(), np.stack(images))
        return balanced(scores >= threshold, np.array(labels)), None

    return nncf.quantize_with_accuracy_control(
        model,
        calibration_dataset=calibration,
        validation_dataset=validation,
        validation_fn=balanced_accuracy,
        max_drop=0.01,
        subset_size=len(cells["calibration"]),
    )


def best_threshold(
    core: ov.Core, model: ov.Model, cells: dict[str, np.ndarray], threads: int
) -> float:
    request = compile_(core, model, threads).create_infer_request()
    scores = probabilities(request, cells["validation"])
    labels = cells["labels"]
    return float(max(scores, key=lambda t: balanced(scores >= t, labels)))


def balanced(called: np.ndarray, labels: np.ndarray) -> float:
    return float((called[labels].mean() + (~called[~labels]).mean()) / 2)


def probabilities(request: ov.InferRequest, images: np.ndarray) -> np.ndarray:
    return np.array([float(request.infer({0: image[None]})[0].reshape(-1)[0]) for image in images])


def compile_(core: ov.Core, model: ov.Model, threads: int) -> ov.CompiledModel:
    return core.compile_model(
        model, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    )


if __name__ == "__main__":
    main()
