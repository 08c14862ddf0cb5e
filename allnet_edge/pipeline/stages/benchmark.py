"""Latency of every candidate on the machine that builds: never a figure about a Jetson.

A first look, in one process and with the code of `allnet-edge bench`, which measures on the device.
"""

import time

from allnet_edge.artifacts.files import write_json
from allnet_edge.data.images import load_batch
from allnet_edge.engines.opening import open_file, require
from allnet_edge.measure.bench_parts import span_summaries
from allnet_edge.measure.bench_report import BenchReport, BenchRow
from allnet_edge.measure.gate_report import GateCandidate, GateReport
from allnet_edge.measure.latency import LatencyRun, Pulse, Watch
from allnet_edge.measure.one_process import Terms, measure
from allnet_edge.measure.queries import Workload
from allnet_edge.measure.raw_samples import write_samples
from allnet_edge.measure.system import describe
from allnet_edge.pipeline.candidates import Form
from allnet_edge.pipeline.stage import Work

_IMAGES = 32  # real cells, taken in turn; zeros would be faster than any image


def run(work: Work) -> None:
    """Write ``bench.json`` and every raw sample in ``samples/<candidate>.jsonl``.

    Peak memory is null: all candidates run in this one process, whose peak is that of the largest.
    """
    gate = GateReport.model_validate_json((work.stages["gate"] / "gate.json").read_bytes())
    judged = {candidate.id: candidate for candidate in gate.candidates}
    index, split = work.sources.load(work.progress)
    paths = [index.path(sample) for sample in split.samples("test", index)[:_IMAGES]]
    preprocess = work.sources.model().spec.preprocess
    workload = Workload(load_batch(paths, preprocess), paths, preprocess)
    (work.folder / "samples").mkdir()
    rows: list[tuple[BenchRow, list[LatencyRun]]] = []
    for form in work.forms:
        row, run_of_it = _measure(work, form, workload, judged[form.id])
        rows.append((row, [run_of_it]))
        work.log.info("%s: p50 %.2f ms, n %d", form.id, row.latency_ms.p50, row.n)
    machine = describe(("ai-edge-litert", "onnxruntime", "numpy", "pillow"))
    report = BenchReport.of(machine, rows, mode=work.recipe.bench.mode)
    write_json(work.folder / "bench.json", report.model_dump(mode="json"))


def _measure(
    work: Work, form: Form, workload: Workload, judged: GateCandidate
) -> tuple[BenchRow, LatencyRun]:
    path = form.path(work.stages)
    # A candidate that failed may have none; the clock does not mind which.
    threshold = judged.threshold.edge or judged.threshold.float
    require(form.engine)  # loading a runtime's libraries is not loading a model
    began = time.perf_counter_ns()
    with open_file(path, work.recipe.bench.threads) as runner:
        load_ms = (time.perf_counter_ns() - began) / 1e6
        measured = measure(
            runner,
            workload,
            lambda outputs: outputs >= threshold,
            Terms(work.recipe.bench.mode),
            watch=_told(work),
        )
        row = BenchRow.of(
            form.id,
            measured.run,
            engine=form.engine,
            precision=form.precision,
            verdict=judged.verdict,
            size_mb=path.stat().st_size / 1e6,
            threads=runner.threads,
            load_ms=load_ms,
            end_to_end=measured.end_to_end,
        )
    file = f"samples/{form.id}.jsonl"
    write_samples(work.folder / file, {"candidate": form.id}, measured.raw())
    return row.model_copy(update={"spans_ms": span_summaries(measured.spans)}), measured.run


def _told(work: Work) -> Watch:
    def watch(pulse: Pulse) -> None:
        total = max(1, round(pulse.of_seconds))
        work.progress(pulse.phase, min(int(pulse.seconds), total), total)

    return watch
