"""A small bundle with the float network's frozen answers, and the images that they are about."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from device_models import ModelFile, cell_images
from PIL import Image

CELLS = 240
PATIENTS = 24


@dataclass(frozen=True)
class Judged:
    """Attributes:
    root: The bundle.
    data: The images, in folders that no importer knows.
    report: The gate's report at the build.
    """

    root: Path
    data: Path
    report: object


@pytest.fixture
def judged_bundle(
    make_bundle: Callable[..., Path], model_files: dict[str, ModelFile], tmp_path: Path
) -> Callable[..., Judged]:
    """Makes one; the share ``wrong`` of the cells is labelled otherwise than the network says."""

    def make(*, wrong: float = 0.05, **changes: object) -> Judged:
        from allnet_edge.artifacts.files import canonical_json
        from allnet_edge.artifacts.manifest import Threshold
        from allnet_edge.artifacts.reference import FrozenReference
        from allnet_edge.engines import open_runner
        from allnet_edge.measure.cells import Cells, Scores
        from allnet_edge.measure.gate import judge
        from allnet_edge.measure.gate_report import GateCandidate, GateReport
        from allnet_edge.spec.gate import GateSpec

        images = cell_images(CELLS, seed=11)
        data = tmp_path / "anywhere"
        hashes = [_save(image, data / str(n % 7) / f"{n}.png") for n, image in enumerate(images)]
        (data / "notes.txt").write_text("no image")
        scores = model_files["onnx.uint8.1"].weights.probabilities(images).astype(np.float32)
        threshold = float(np.median(scores))
        flip = np.random.default_rng(4).uniform(size=CELLS) < wrong
        cells = Cells(
            tuple(f"cell-{n}" for n in range(CELLS)),
            tuple(hashes),
            (scores >= threshold) ^ flip,
            tuple(f"hem:H{n % PATIENTS}" for n in range(CELLS)),
        )
        before = Scores(scores, threshold)
        # As wide as small numbers of cells need: here only the way counts.
        spec = GateSpec(
            sensitivity=0.3, specificity=0.3, auc=0.3, accuracy_ratio=0.7, resamples=200
        )
        forms = {
            "litert.int8": "litert.int8.1", "litert.fp32": "litert.fp32.1",
            "onnx.fp32": "onnx.uint8.1",
        }  # fmt: skip
        judged = []
        for name, form in forms.items():
            with open_runner(model_files[form].path, threads=1) as runner:
                verdict = judge(cells, before, Scores(runner.infer(images), threshold), spec)
            engine, _, precision = name.partition(".")
            judged.append(GateCandidate.of(verdict, name, engine=engine, precision=precision))
        report = GateReport.of(cells, spec, judged, split="patient", leaking=False)
        reference = FrozenReference.of(
            ids=cells.ids, sha256s=cells.sha256s, labels=cells.labels, patients=cells.patients,
            scores=scores, threshold=threshold,
        )  # fmt: skip
        thresholds = {
            name: Threshold(threshold=threshold, fitted_on="validation") for name in forms
        }
        root = make_bundle(
            reference=reference,
            more={"reports/gate.json": canonical_json(report.model_dump(mode="json"))},
            **({"thresholds": thresholds} | changes),
        )
        return Judged(root, data, report)

    return make


def _save(image: np.ndarray, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
