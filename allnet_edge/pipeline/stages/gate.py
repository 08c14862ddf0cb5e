"""Every candidate against the float network, on cells that nothing was fitted on."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.files import read_json, write_json, write_text
from allnet_edge.data.phantom import generate
from allnet_edge.engines.opening import open_file
from allnet_edge.measure.abstain import fit_band
from allnet_edge.measure.agreement import Flip, compare, list_flips
from allnet_edge.measure.cells import Cells, Scores, require_unseen
from allnet_edge.measure.gate import judge
from allnet_edge.measure.gate_report import GateCandidate, GateReport
from allnet_edge.measure.thresholds import transfer_threshold
from allnet_edge.pipeline.stage import Work
from allnet_edge.pipeline.stages.scoring import (
    Judged,
    Probabilities,
    Reference,
    base_of,
    save_arrays,
    score,
)
from allnet_edge.pipeline.stages.steps import steps_of


@dataclass(frozen=True, slots=True)
class _Answers:
    """One candidate's probabilities on both parts."""

    validation: Probabilities
    test: Probabilities


def run(work: Work) -> None:
    """Write ``gate.json``, ``thresholds.json``, ``rungs.json``, ``scores.npz`` and ``flips.csv``;
    the verdict on each float step (``pruned.json``...); ``golden.npz`` for the bundle.

    Raises:
        SplitError: A calibration image, or its patient, is among the gate's cells.
    """
    model = work.sources.model()
    index, split = work.sources.load(work.progress)
    validation = Judged.of("validation", index, split, model)
    test = Judged.of("test", index, split, model)
    _require_unseen(work, test.cells, leaking=split.leaking)
    reference = Reference.read(work, validation.cells, test.cells)
    before = Scores(reference.test, reference.threshold)

    answers: dict[str, _Answers] = {}
    for step in steps_of(work):
        with np.load(work.stages[step.stage] / step.file) as stored:
            answers[step.id] = _Answers(stored["validation"], stored["test"])
    probes = golden_images(model.spec.input_size)
    golden: dict[str, npt.NDArray[np.generic]] = {"images": probes}
    for form in work.forms:
        with open_file(form.path(work.stages), work.recipe.bench.threads) as runner:
            golden[form.id] = runner.infer(probes).reshape(len(probes))
            answers[form.id] = _Answers(
                *(
                    score(
                        runner.infer,
                        judged.paths,
                        model.spec.preprocess,
                        f"{form.id} on {part} cells",
                        work.progress,
                    )
                    for part, judged in (("validation", validation), ("test", test))
                )
            )
    base = base_of(work, reference, validation.cells)
    thresholds = {
        name: transfer_threshold(base.scores, base.threshold, answer.validation)
        for name, answer in answers.items()
    }
    verdicts = {
        name: judge(test.cells, before, Scores(answer.test, thresholds[name]), work.recipe.gate)
        for name, answer in answers.items()
    }
    judged_forms = [
        GateCandidate.of(verdicts[f.id], f.id, engine=f.engine, precision=f.precision)
        for f in work.forms
    ]
    report = GateReport.of(
        test.cells, work.recipe.gate, judged_forms, split=split.protocol, leaking=split.leaking
    )
    for candidate in report.candidates:
        work.log.info("%s: %s %s", candidate.id, candidate.verdict, candidate.reason or "")
    write_json(work.folder / "gate.json", report.model_dump(mode="json"))
    write_json(work.folder / "thresholds.json", _thresholds(answers, thresholds))
    write_json(work.folder / "rungs.json", _rungs(work, reference, answers))
    for step in steps_of(work):  # no candidates, but the report must be able to name a culprit
        found = GateCandidate.of(verdicts[step.id], step.id, engine="keras", precision="fp32")
        write_json(step.verdict(work.folder), found.model_dump(mode="json"))
    save_arrays(work.folder / "golden.npz", golden)
    save_arrays(work.folder / "scores.npz", {name: a.test for name, a in answers.items()})
    write_text(work.folder / "flips.csv", _flips_csv(test.cells, before, answers, thresholds))


def golden_images(size: int) -> npt.NDArray[np.uint8]:
    """uint8 [8, size, size, 3]: phantom cells, black and white.

    No image of a person leaves the machine that builds.
    """
    phantoms = generate(6, patients=6, seed=2_021, size=size).images
    plain = np.stack([np.full((size, size, 3), level, np.uint8) for level in (0, 255)])
    return np.concatenate([phantoms, plain])


def _require_unseen(work: Work, cells: Cells, *, leaking: bool) -> None:
    if "quantize" not in work.stages:
        return
    index, _ = work.sources.load()
    listed = read_json(work.stages["quantize"] / "calibration.json")
    hashes = {row["sha256"] for row in listed["images"]}  # type: ignore[index]
    known = [s.patient for s in index.samples if s.sha256 in hashes and s.patient is not None]
    require_unseen(
        cells, used_for="calibration", sha256s=hashes, patients=() if leaking else set(known)
    )


def _thresholds(
    answers: Mapping[str, _Answers], thresholds: Mapping[str, float]
) -> dict[str, dict[str, object]]:
    return {
        name: {
            "threshold": threshold if np.isfinite(threshold) else None,
            "fitted_on": "validation",
            "abstain": fit_band(answers[name].validation, threshold),
        }
        for name, threshold in thresholds.items()
    }


def _rungs(
    work: Work, reference: Reference, answers: Mapping[str, _Answers]
) -> dict[str, dict[str, object]]:
    """How far each rung is from the one before it, so that the failing step is named."""
    before = {form.id: form.before for form in work.forms}
    steps = [step.id for step in steps_of(work)]
    before |= dict(zip(steps, ["keras", *steps], strict=False))
    start = steps[-1] if steps else "keras"
    found: dict[str, dict[str, object]] = {}
    for name, answer in answers.items():
        previous = before.get(name, "keras")
        if name not in steps and previous not in answers:
            previous = start  # also where the float graph was not asked for as a candidate
        base = answers[previous].test if previous in answers else reference.test
        usable = bool(np.isfinite(answer.test).all() and np.isfinite(base).all())
        agreement = compare(base, answer.test, threshold=reference.threshold) if usable else None
        found[name] = {
            "before": previous,
            "max_abs_difference": agreement.max_abs if agreement else None,
            "logit_snr_db": agreement.logit_snr_db if agreement else None,
        }
    return found


def _flips_csv(
    cells: Cells,
    before: Scores,
    answers: Mapping[str, _Answers],
    thresholds: Mapping[str, float],
) -> str:
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(["candidate", "id", "positive", "float_score", "edge_score", "direction"])
    for name, answer in answers.items():
        if not np.isfinite(answer.test).all():
            continue
        flips: tuple[Flip, ...] = list_flips(
            cells.ids,
            cells.labels,
            before.scores,
            answer.test,
            float_threshold=before.threshold,
            edge_threshold=thresholds[name],
        )
        for f in flips:
            scores = (f"{f.float_score:.6f}", f"{f.edge_score:.6f}")
            rows.writerow([name, f.id, int(f.label), *scores, f.direction])
    return stream.getvalue()
