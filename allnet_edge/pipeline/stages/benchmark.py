"""Latency of every candidate on the machine that builds: never a figure about a Jetson."""

import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.files import write_json, write_text
from allnet_edge.data.images import load, load_batch
from allnet_edge.engines.base import Runner
from allnet_edge.engines.opening import open_file
from allnet_edge.measure.bench_report import BenchReport, BenchRow
from allnet_edge.measure.gate_report import GateReport
from allnet_edge.measure.latency import LatencyRun, measure_single_stream
from allnet_edge.measure.system import describe
from allnet_edge.pipeline.candidates import Form
from allnet_edge.pipeline.stage import Work
from allnet_edge.spec.gate import Verdict
from allnet_edge.spec.network import Preprocess

_IMAGES = 32  # real cells, taken in turn; zeros would be faster than any image


def run(work: Work) -> None:
    """Write ``bench.json`` and every raw sample in ``samples.jsonl``.

    Peak memory is null: all candidates run in this one process, whose peak is that of the largest.
    """
    gate = GateReport.model_validate_json((work.stages["gate"] / "gate.json").read_bytes())
    verdicts = {candidate.id: candidate.verdict for candidate in gate.candidates}
    index, split = work.sources.load(work.progress)
    paths = [index.path(sample) for sample in split.samples("test", index)[:_IMAGES]]
    preprocess = work.sources.model().spec.preprocess
    images = load_batch(paths, preprocess)
    measured: list[tuple[BenchRow, LatencyRun]] = []
    lines: list[str] = []
    for form in work.forms:
        row, inference, whole = _measure(
            work,
            form,
            images=images,
            paths=paths,
            preprocess=preprocess,
            verdict=verdicts[form.id],
        )
        measured.append((row, inference))
        for span, samples in (("inference", inference), ("end_to_end", whole)):
            values = ", ".join(f"{value:.4f}" for value in samples.samples_ms)
            lines.append(f'{{"id": "{form.id}", "span": "{span}", "ms": [{values}]}}\n')
        work.log.info("%s: p50 %.2f ms, n %d", form.id, row.latency_ms.p50, row.n)
    machine = describe(("ai-edge-litert", "onnxruntime", "numpy", "pillow"))
    report = BenchReport.of(machine, measured, mode=work.recipe.bench.mode)
    write_json(work.folder / "bench.json", report.model_dump(mode="json"))
    write_text(work.folder / "samples.jsonl", "".join(lines))


def _measure(
    work: Work,
    form: Form,
    *,
    images: npt.NDArray[np.uint8],
    paths: Sequence[Path],
    preprocess: Preprocess,
    verdict: Verdict,
) -> tuple[BenchRow, LatencyRun, LatencyRun]:
    path = form.path(work.stages)
    mode = work.recipe.bench.mode
    began = time.perf_counter_ns()
    with open_file(path, work.recipe.bench.threads) as runner:
        load_ms = (time.perf_counter_ns() - began) / 1e6
        inference = measure_single_stream(_Decoded(runner, images), mode, work.progress)
        whole = measure_single_stream(_FromFile(runner, paths, preprocess), mode, work.progress)
        row = BenchRow.of(
            form.id,
            inference,
            engine=form.engine,
            precision=form.precision,
            verdict=verdict,
            size_mb=path.stat().st_size / 1e6,
            threads=runner.threads,
            load_ms=load_ms,
            end_to_end=whole,
        )
    return row, inference, whole


class _Decoded:
    """A query: the next image, already decoded."""

    def __init__(self, runner: Runner, images: npt.NDArray[np.uint8]) -> None:
        self._runner = runner
        self._next = cycle([image[None] for image in images])

    def __call__(self) -> object:
        return self._runner.infer(next(self._next))


class _FromFile:
    """A query: the next image file, from its bytes on the disk to a probability."""

    def __init__(self, runner: Runner, paths: Sequence[Path], preprocess: Preprocess) -> None:
        self._runner, self._preprocess = runner, preprocess
        self._next = cycle(paths)

    def __call__(self) -> object:
        return self._runner.infer(load(next(self._next), self._preprocess)[None])
