"""Whether what a device runs is what quantization-aware training trained.

    python benchmarks/qat_agreement.py BUILD --run RUN --data DIR

BUILD is a finished `allnet-edge build --run RUN --data DIR --qat N`. Its two int8 forms, and the
network that computes with fake quantization where each of them rounds, answer the validation cells.
A step is one of the last int8 tensor times the sum of the head's absolute weights: what one step of
every value that the head reads makes of a logit, at most. Writes results/qat_agreement.json.
"""

import argparse
import json
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tf_keras

from allnet_edge.artifacts.files import write_json
from allnet_edge.compress.qat import LearnedRange, as_rounded
from allnet_edge.compress.qat_placement import Form
from allnet_edge.data.images import load_batch
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import load_split
from allnet_edge.engines.opening import open_file
from allnet_edge.measure.agreement import logits
from allnet_edge.measure.system import describe
from allnet_edge.models.storage import float_model

RESULT = Path(__file__).parent / "results" / "qat_agreement.json"
FILES: dict[Form, str] = {
    "onnx": "qat_onnx/model.qat.onnx",
    "tflite": "qat_tflite/model.qat.tflite",
}
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    model, network = float_model.instantiate(tf_keras, arguments.build / "qat")
    stored = json.loads((arguments.build / "qat" / "ranges.json").read_text())
    ranges = {name: LearnedRange(*ends) for name, ends in stored.items()}
    index, split = load_index(arguments.data), load_split(arguments.run / "split.json")
    split.verify(index)
    paths = [index.path(sample) for sample in split.samples("validation", index)]
    images = load_batch(paths, model.spec.preprocess)
    last = [layer.name for layer in network.layers if layer.name in ranges][-1]
    kernel = network.get_layer("logits").get_weights()[0]
    step = ranges[last].high / 127 * float(np.abs(kernel).sum())
    rows = {}
    for form, file in FILES.items():
        rounded = as_rounded(network, ranges, form)
        expected = logits(rounded.predict(images.astype(np.float32), BATCH, verbose=0)).ravel()
        found = logits(answers(arguments.build / file, images)).ravel()
        error = np.abs(found - expected) / step
        rows[form] = {
            "within_one_step": float((error <= 1).mean()),
            "largest_in_steps": float(error.max()),
            "root_mean_square_in_steps": float(np.sqrt((error**2).mean())),
            "decisions_that_differ": int(((found > 0) != (expected > 0)).sum()),
        }
        print(form, rows[form])
    result = {
        "date": date.today().isoformat(),
        "machine": describe(("ai-edge-litert", "onnxruntime", "tf-keras")).model_dump(mode="json"),
        "network": model.spec.network,
        "input_size": model.spec.input_size,
        "width": model.spec.width,
        "phantom_data": split.layout == "phantom",
        "cells": len(images),
        "step_in_logits": step,
        "rows": rows,
    }
    write_json(RESULT, result)


def answers(path: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    with open_file(path, 2) as runner:
        parts = [runner.infer(images[at : at + BATCH]) for at in range(0, len(images), BATCH)]
    return np.concatenate(parts)


if __name__ == "__main__":
    main()
