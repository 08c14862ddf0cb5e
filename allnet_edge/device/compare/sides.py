"""What `compare` is given: a benchmark with its samples, or a bundle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.files import read_json
from allnet_edge.errors import IntegrityError, RecipeError, UsageError
from allnet_edge.measure.bench_report import BenchReport, BenchRow
from allnet_edge.measure.raw_samples import read_samples
from allnet_edge.spec.base import parse

BENCH, MANIFEST = "bench.json", "manifest.json"

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BenchSide:
    """One benchmark.

    Attributes:
        report: bench.json.
        folder: Where its samples are.
    """

    report: BenchReport
    folder: Path

    def samples(self, row: BenchRow) -> list[Samples]:
        """Milliseconds of every query of the scenario, one array a process; empty where absent.

        Raises:
            IntegrityError: A file that bench.json names is absent or damaged.
        """
        return [next(iter(read_samples(self.folder / file)[1].values())).ms for file in row.samples]


def is_bundle(path: Path) -> bool:
    """Whether this is a bundle; else it has to be a benchmark.

    Raises:
        UsageError: It is neither.
    """
    if (path / MANIFEST).is_file() and (path / "preprocess.json").is_file():
        return True
    if (path / BENCH).is_file() or path.is_file():
        return False
    inside = path / "bundle"
    raise UsageError(
        "this is neither a benchmark (no bench.json) nor a bundle (no manifest.json)",
        where=path,
        fix=f"name {inside}" if inside.is_dir() else "name a folder that `bench` or `build` made",
    )


def read_bench(path: Path) -> BenchSide:
    """Read a benchmark's folder, or its bench.json.

    Raises:
        IntegrityError: It cannot be read, or is no bench.json.
    """
    file = path / BENCH if path.is_dir() else path
    try:
        report = parse(read_json(file), BenchReport, where=file)
    except RecipeError as error:
        raise IntegrityError(
            f"not a bench.json that this program reads: {error.what}",
            where=file,
            fix="measure again, or update allnet-edge on this machine",
        ) from error
    return BenchSide(report, file.parent)
