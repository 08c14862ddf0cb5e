"""A benchmark's folder as `bench` writes it, with times that the test chooses."""

from pathlib import Path

import numpy as np

from allnet_edge.measure.bench_report import BenchReport, BenchRow
from allnet_edge.measure.latency import LatencyRun
from allnet_edge.measure.raw_samples import RawRun, write_samples
from allnet_edge.measure.system import describe
from allnet_edge.spec.gate import Verdict

MACHINE = describe()


def write_bench(
    folder: Path,
    medians: dict[str, float],
    *,
    seed: int = 1,
    processes: int = 5,
    verdict: Verdict = "pass",
    spread: float = 0.01,
    **changes: object,
) -> Path:
    """A benchmark's folder: candidates with log-normal times about their medians."""
    rng = np.random.default_rng(seed)
    (folder / "samples").mkdir(parents=True)
    measured = []
    for name, median in medians.items():
        runs, files = [], []
        for process in range(1, processes + 1):
            ms = median * np.exp(rng.normal(0, 0.003) + rng.normal(0, spread, 1100))
            run = LatencyRun("standard", ms, 9.0, 50, settled=True, other_load=0.0)
            files.append(f"samples/{name}.p{process}.jsonl")
            write_samples(folder / files[-1], {"candidate": name}, {"inference": RawRun.of(run)})
            runs.append(run)
        row = BenchRow.of(
            name, runs[0], engine="litert", precision="int8", verdict=verdict, size_mb=1.0
        )
        measured.append((row.model_copy(update={"samples": tuple(files)}), runs))
    report = BenchReport.of(MACHINE, measured, mode="standard").model_copy(update=changes)
    (folder / "bench.json").write_text(report.model_dump_json())
    return folder
