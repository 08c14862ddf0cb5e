"""Both float graphs to int8, on one pinned set of calibration images."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.files import write_bytes, write_json
from allnet_edge.convert.int8_from_tflite import int8_from_tflite
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.data.calibration import read_pinned, select
from allnet_edge.data.images import iter_batches
from allnet_edge.engines.base import usable_cores
from allnet_edge.pipeline.stage import Work


def run(work: Work) -> None:
    """Write ``model.int8.onnx``, ``model.int8.tflite`` and ``calibration.json``.

    Raises:
        SplitError: A pinned list holds validation or test cells.
    """
    index, split = work.sources.load(work.progress)
    settings, model = work.recipe.calibration, work.sources.model()
    chosen = (
        select(split, index, settings.images, settings.seed, model.label_index)
        if settings.pinned is None
        else read_pinned(settings.pinned, split, index)
    )
    paths = [index.path(sample) for sample in chosen]
    preprocess = model.spec.preprocess

    def images() -> Iterator[npt.NDArray[np.uint8]]:
        for batch in iter_batches(paths, preprocess, batch_size=16):
            yield from batch

    def progress(what: str, done: int, _total: int) -> None:
        work.progress(what, done, len(paths))

    if "export_onnx" in work.stages:
        qdq_from_onnx(
            work.stages["export_onnx"] / "model.fp32.onnx",
            work.folder / "model.int8.onnx",
            images(),
            progress=progress,
        )
    if "export_tflite" in work.stages:
        quantized = int8_from_tflite(
            work.stages["export_tflite"] / "model.fp32.tflite",
            images(),
            threads=usable_cores(),
            progress=progress,
        )
        write_bytes(work.folder / "model.int8.tflite", quantized)
    write_json(
        work.folder / "calibration.json",
        {
            "method": "minimum and maximum",
            "seed": settings.seed,
            "part": "train",
            "images": [{"id": s.id, "sha256": s.sha256, "label": s.label} for s in chosen],
        },
    )
