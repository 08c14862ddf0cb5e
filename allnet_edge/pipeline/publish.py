"""The last step: the report at the top of the build, its manifest, and the bundle."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge import __version__
from allnet_edge.artifacts.appearance import APPEARANCE
from allnet_edge.artifacts.builddir import BuildDir
from allnet_edge.artifacts.bundle import is_bundle_of
from allnet_edge.artifacts.bundle_writer import write_bundle
from allnet_edge.artifacts.files import (
    canonical_json,
    remove,
    sha256_bytes,
    sha256_file,
    temporary_name,
    write_bytes,
    write_json,
)
from allnet_edge.artifacts.golden import Golden
from allnet_edge.artifacts.manifest import Candidate, DataOrigin, Source, Threshold
from allnet_edge.artifacts.reference import FrozenReference
from allnet_edge.data.split import load_split
from allnet_edge.measure.bench_report import BenchReport
from allnet_edge.measure.gate_report import GateReport
from allnet_edge.measure.system import package_version
from allnet_edge.pipeline.candidates import Form, made
from allnet_edge.pipeline.choose import Choice, choose
from allnet_edge.pipeline.plan import Plan
from allnet_edge.pipeline.sources import cells_of
from allnet_edge.pipeline.trtexec import trtexec_files

_LAYOUT = 3  # of a bundle; raised when another file is put into it, so that old ones are renewed
_REPORTS = ("report.html", "report.md", "report.json")
_RUNTIMES = {"onnx": "onnxruntime", "litert": "ai-edge-litert"}
# Largest differences that other machines' kernels may make. Quantized ONNX depends on whether the
# processor multiplies int8 without saturation, so that a last bit may move.
_TOLERANCE = {"fp32": 1e-4, "fp16": 5e-3, "int8": 2e-2, "mixed": 2e-2}


@dataclass(frozen=True, slots=True)
class Published:
    """What stands at the top of the build; no bundle where every candidate failed."""

    bundle: Path | None
    chosen: str | None


def publish(build: BuildDir, plan: Plan) -> Published:
    """Copy the report up, write the manifest, and write the bundle unless it is there already."""
    stages = {stage.name: build.path(stage.name) for stage in plan.stages}
    for name in _REPORTS:
        write_bytes(plan.out / name, (stages["report"] / name).read_bytes())
    gate = GateReport.model_validate_json((stages["gate"] / "gate.json").read_bytes())
    bench = BenchReport.model_validate_json((stages["benchmark"] / "bench.json").read_bytes())
    choice = choose(gate, bench)
    records = {name: build.record(name) for name in stages}
    lineage = {name: record.model_dump(mode="json") for name, record in records.items() if record}
    _write_manifest(plan, lineage)
    bundle = plan.out / "bundle"
    if choice.chosen is None:
        _take_away(bundle)
        return Published(None, None)
    # The log of what was measured differs between runs; the bundle depends on its content alone.
    files = {name: row["files"] for name, row in lineage.items()}
    key = sha256_bytes(canonical_json({"layout": _LAYOUT, "files": files}))
    if not is_bundle_of(bundle, key):
        _write_bundle(bundle, plan, stages=stages, gate=gate, choice=choice, key=key)
    return Published(bundle, choice.chosen)


def _take_away(bundle: Path) -> None:
    """Remove a bundle whole, so that a kill leaves no folder that is not one any more."""
    if bundle.exists():
        aside = temporary_name(bundle, old=True)
        remove(aside)
        bundle.rename(aside)
        remove(aside)


def _write_manifest(plan: Plan, lineage: dict[str, dict[str, object]]) -> None:
    model = plan.sources.model()
    write_json(
        plan.out / "manifest.json",
        {
            "schema_version": 1,
            "allnet_edge": __version__,
            "recipe": plan.recipe.model_dump(mode="json"),
            "target": plan.target.model_dump(mode="json"),
            "float_sha256": model.weights_sha256,
            "split_sha256": sha256_file(plan.sources.split_path),
            "stages": lineage,
        },
    )


def _write_bundle(
    destination: Path,
    plan: Plan,
    *,
    stages: dict[str, Path],
    gate: GateReport,
    choice: Choice,
    key: str,
) -> None:
    model = plan.sources.model()
    split = load_split(plan.sources.split_path)
    verdicts = {candidate.id: candidate.verdict for candidate in gate.candidates}
    by_id = {form.id: form for form in made(plan.recipe, plan.target, stages)}
    kept = [by_id[name] for name in choice.order]
    thresholds = json.loads((stages["gate"] / "thresholds.json").read_bytes())
    contents: dict[str, Path | bytes] = {
        APPEARANCE: stages["appearance"] / APPEARANCE,
        **{f"model/{form.file}": form.path(stages) for form in kept},
        "reports/gate.json": stages["gate"] / "gate.json",
        "reports/flips.csv": stages["gate"] / "flips.csv",
        "reports/bench.json": stages["benchmark"] / "bench.json",
        "reports/report.html": stages["report"] / "report.html",
        "docs/model_card.md": stages["report"] / "model_card.md",
    }
    golden = _golden(kept, stages["gate"])
    contents |= trtexec_files(plan.target, kept, stages, golden)
    if "quantize" in stages:
        contents["calibration.json"] = stages["quantize"] / "calibration.json"
    write_bundle(
        destination,
        name=f"{model.spec.network}-{plan.target.name}",
        model=model.spec.network,
        target=plan.target.name,
        source=Source(
            run_sha256=None if plan.embedded else sha256_file(plan.sources.run / "model.json"),
            float_sha256=model.weights_sha256,
            build_key=key,
        ),
        classes=model.spec.classes,
        candidates=tuple(
            Candidate(
                id=form.id,
                engine=form.engine,
                precision=form.precision,
                file=f"model/{form.file}",
                verdict=verdicts[form.id],
                chosen=form.id == choice.chosen,
                why=choice.why[form.id],
            )
            for form in kept
        ),
        thresholds={form.id: Threshold.model_validate(thresholds[form.id]) for form in kept},
        preprocess=model.spec.preprocess,
        golden=golden,
        contents=contents,
        reference=_reference(plan, stages["reference"]),
        data=DataOrigin(layout=split.layout, split=split.protocol, leaking=split.leaking),
        runtimes={
            engine: f"{_RUNTIMES[engine]} {package_version(_RUNTIMES[engine])}"
            for engine in sorted({form.engine for form in kept})
        },
    )


def _reference(plan: Plan, stage: Path) -> FrozenReference:
    """The answers that the gate judged by, with the patients that it took together."""
    index, split = plan.sources.load()
    cells = cells_of(split.samples("test", index), plan.sources.model())
    with np.load(stage / "reference.npz") as stored:
        return FrozenReference.of(
            ids=cells.ids,
            sha256s=cells.sha256s,
            labels=cells.labels,
            patients=cells.patients,
            scores=stored["test_scores"],
            threshold=float(stored["threshold"]),
        )


def _golden(kept: list[Form], gate: Path) -> Golden:
    with np.load(gate / "golden.npz") as stored:
        outputs = {form.id: stored[form.id] for form in kept}
        return Golden(
            stored["images"], outputs, {form.id: _TOLERANCE[form.precision] for form in kept}
        )
