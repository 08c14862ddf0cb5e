"""The gate on the device: its own runtimes against the float network's frozen answers.

One way for `compile` and for `verify --data`: the cells are found by the hash of their files, so
that the folder's layout does not matter and nothing but the cells of the build's gate is judged on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.files import read_json, sha256_file
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.artifacts.reference import FrozenReference
from allnet_edge.data.images import SUFFIXES, iter_batches
from allnet_edge.engines.base import Probabilities, Runner
from allnet_edge.errors import DataError, IntegrityError, UsageError
from allnet_edge.measure.cells import Cells, Scores, require_unseen
from allnet_edge.measure.gate import judge
from allnet_edge.measure.gate_report import GateCandidate, GateReport
from allnet_edge.progress import Progress, silent

_BATCH = 32
_CALIBRATION = "calibration.json"


@dataclass(frozen=True, slots=True, eq=False)
class DeviceGate:
    """The cells of the build's gate, found on this machine.

    Attributes:
        cells: In the order of the frozen answers.
        paths: Their image files, in the same order.
        before: What the float network says of them.
        at_build: The gate's report at the build, whose margins and split hold here too.
    """

    cells: Cells
    paths: tuple[Path, ...]
    before: Scores
    at_build: GateReport

    @classmethod
    def open(cls, bundle: Bundle, data: Path, progress: Progress = silent) -> "DeviceGate":
        """Find the cells below a folder.

        Raises:
            UsageError: No such folder, or a bundle without frozen answers.
            DataError: Cells that are not there.
            SplitError: A calibration image is among the cells.
        """
        reference = bundle.reference()
        if reference is None:
            raise UsageError(
                "this bundle holds no frozen answers to judge against",
                where=bundle.root,
                fix="build it again with this version of allnet-edge, or leave --data out",
            )
        report = bundle.path("reports/gate.json")
        if not report.is_file():
            raise IntegrityError("reports/gate.json is missing", where=report)
        patients = reference.patients
        cells = Cells(
            reference.ids,
            reference.sha256s,
            reference.labels,
            None if patients is None else tuple(f"{number:09d}" for number in patients),
        )
        require_unseen(cells, used_for="calibration", sha256s=_calibration(bundle))
        return cls(
            cells,
            _find(reference, data, progress),
            Scores(reference.scores, reference.threshold),
            GateReport.model_validate_json(report.read_bytes()),
        )

    def judge(
        self, bundle: Bundle, candidate: Candidate, runner: Runner, progress: Progress = silent
    ) -> GateCandidate:
        """Judge an active runner.

        Raises:
            ImageError: A cell whose file changed between being found and being read.
        """
        found: list[Probabilities] = []
        what = f"{candidate.id} on {len(self.cells)} cells"
        for batch in iter_batches(self.paths, bundle.preprocess, batch_size=_BATCH):
            found.append(runner.infer(batch).reshape(len(batch)))
            progress(what, sum(map(len, found)), len(self.paths))
        after = Scores(np.concatenate(found), bundle.thresholds[candidate.id].threshold)
        verdict = judge(self.cells, self.before, after, self.at_build.margins)
        return GateCandidate.of(
            verdict, candidate.id, engine=candidate.engine, precision=candidate.precision
        )

    def report(self, judged: Iterable[GateCandidate]) -> GateReport:
        """The document about all that were judged here."""
        return GateReport.of(
            self.cells,
            self.at_build.margins,
            tuple(judged),
            split=self.at_build.split,
            leaking=self.at_build.leaking,
        )


def _calibration(bundle: Bundle) -> set[str]:
    if _CALIBRATION not in bundle.manifest.files:
        return set()
    listed = read_json(bundle.path(_CALIBRATION))
    return {str(row["sha256"]) for row in listed["images"]}  # type: ignore[index]


def _find(reference: FrozenReference, data: Path, progress: Progress) -> tuple[Path, ...]:
    """The file of each cell."""
    if not data.is_dir():
        raise UsageError("no such folder", where=data)
    files = [path for path in sorted(data.rglob("*")) if path.suffix.lower() in SUFFIXES]
    wanted, found = set(reference.sha256s), dict[str, Path]()
    for done, path in enumerate(files):
        if len(found) == len(wanted):
            break
        progress("looking for the gate's cells", done, len(files))
        digest = sha256_file(path)
        if digest in wanted:
            found.setdefault(digest, path)
    progress("looking for the gate's cells", len(files), len(files))
    missing = [
        name
        for name, digest in zip(reference.ids, reference.sha256s, strict=True)
        if digest not in found
    ]
    if missing:
        raise DataError(
            f"{len(missing):,} of the gate's {len(wanted):,} cells are not below this folder "
            f"(first: {missing[0]})",
            where=data,
            fix="copy the same, unchanged images there that the bundle was built with",
        )
    return tuple(found[digest] for digest in reference.sha256s)
