"""Judging a bundle: one of its candidates in its own runtime, without Keras.

A bundle carries no list of the images that its network was trained on. What can be shown is shown:
that none of the calibration images is judged on; and, where the split lies beside the very run that
the bundle was made from, all that a run can show. What cannot is said.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from allnet_edge.artifacts.bundle import MANIFEST, Bundle
from allnet_edge.artifacts.files import read_json, sha256_file
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.data.samples import SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import Split, load_split, require_classes
from allnet_edge.engines.opening import open_candidate, select
from allnet_edge.errors import IntegrityError, UsageError
from allnet_edge.evaluation.cells import ALL, Cells, Options, labels_of
from allnet_edge.evaluation.corners import corner_notes
from allnet_edge.evaluation.exposure import Knowledge, against
from allnet_edge.evaluation.judged import Evaluation, conclude
from allnet_edge.evaluation.networks import Network
from allnet_edge.evaluation.probes import Probe, not_measured, probe
from allnet_edge.evaluation.rule import Rule
from allnet_edge.evaluation.scoring import score
from allnet_edge.evaluation.seen import refuse_files
from allnet_edge.measure.performance import Performance, performance
from allnet_edge.measure.system import package_version
from allnet_edge.progress import Progress, silent
from allnet_edge.report.evaluation_document import EvaluatedNetwork

_CALIBRATION = "calibration.json"
_PACKAGES = {"litert": "ai-edge-litert", "onnx": "onnxruntime"}


def evaluate_bundle(
    root: Path,
    data: Path,
    options: Options | None = None,
    *,
    candidate: str | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Judge a bundle on a part of a split, or on every image of a data set.

    The threshold is the candidate's own, from ``threshold.json``.

    Args:
        root: Folder of the bundle.
        data: Root of the data set.
        options: What else was told.
        candidate: Id of the one to judge; the bundle's choice where None.
        progress: Told as it goes on.

    Raises:
        UsageError: No bundle, a part without a split, a prevalence for more than two classes.
        IntegrityError: The bundle was changed, or a file after it was indexed.
        EnvironmentMismatch: No candidate can run here.
        SplitError: The split is of another data set, has a patient or an image on both sides,
            lacks a class, or holds calibration images.
        DataError: A class that the network does not know, or one that is missing.
    """
    told = options or Options()
    if told.part is not None and told.split is None:
        raise UsageError(
            f"a bundle has no split, so that there is no part '{told.part}'",
            fix="give --split, or leave --part out to judge on every image",
        )
    bundle = Bundle.open(root)
    told.require_binary_for_prevalence(bundle.manifest.classes)
    selection = select(bundle, candidate)
    index = load_index(data, progress=progress)
    split = None if told.split is None else load_split(told.split)
    labels = labels_of(bundle.manifest.classes, index)
    part = ALL if split is None else told.wanted
    if split is not None:
        split.verify(index)
        require_classes(split, labels, (told.wanted,))
    judged = Cells.of(part, index, split, labels)
    knowledge = _knowledge(bundle, judged, told.split)
    turns = told.turns or 1
    with _open(bundle, selection.candidate) as network:
        scores = score(
            network, judged.samples, index, turns=turns, what=f"{part} cells", progress=progress
        )
    rule = _rule(bundle, selection.candidate, turns)
    scored = rule.decide(judged, scores)
    found = performance(
        scored, labels.classes, prevalence=told.prevalence, resamples=told.resamples,
        seed=told.seed,
    )  # fmt: skip
    return conclude(
        _described(bundle, selection.candidate, network, turns, index=index, split=split),
        judged,
        knowledge=knowledge,
        scored=scored,
        rule=rule,
        found=found,
        probes=_probes(judged, found, progress),
        options=told,
        versions=network.versions,
        notes=(
            *_notes(bundle, selection.candidate, selection.note),
            *corner_notes(judged, bundle.preprocess, turns),
        ),
    )


@contextmanager
def _open(bundle: Bundle, candidate: Candidate) -> Iterator[Network]:
    package = _PACKAGES.get(candidate.engine, candidate.engine)
    with open_candidate(bundle, candidate) as runner:
        yield Network(
            runner.infer,
            bundle.preprocess,
            candidate.engine,
            {package: package_version(package) or "unknown"},
        )


def _rule(bundle: Bundle, candidate: Candidate, turns: int) -> Rule:
    if len(bundle.manifest.classes) > 2:
        return Rule.argmax()
    own = bundle.thresholds[candidate.id]
    notes = []
    if turns > 1:
        notes.append("it was fitted on scores of images that were not turned")
    if own.abstain is not None:
        low, high = own.abstain
        notes.append(f"a device abstains from {low:.3f} to {high:.3f}; here every cell is decided")
    return Rule(
        own.threshold, f"{own.fitted_on} part, stored in the bundle", None, "; ".join(notes)
    )


def _described(
    bundle: Bundle,
    candidate: Candidate,
    network: Network,
    turns: int,
    *,
    index: SampleIndex,
    split: Split | None,
) -> EvaluatedNetwork:
    manifest = bundle.manifest
    hashes = {
        "bundle manifest": sha256_file(bundle.path(MANIFEST)),
        "candidate file": bundle.file_sha256(candidate),
        "float weights": manifest.source.float_sha256,
        "run (model.json)": manifest.source.run_sha256,
        "split": None if split is None else split.sha256,
        "index": index.sha256,
    }
    return EvaluatedNetwork(
        kind="bundle",
        name=manifest.name,
        network=manifest.model,
        classes=manifest.classes,
        engine=network.engine,
        candidate=candidate.id,
        precision=candidate.precision,
        verdict=candidate.verdict,
        turns=turns,
        hashes={name: value for name, value in hashes.items() if value is not None},
    )


def _knowledge(bundle: Bundle, judged: Cells, split_path: Path | None) -> Knowledge:
    """What can be shown about cells and a network whose training images are not listed.

    Raises:
        SplitError: Calibration images, or their patients, are to be tested on.
    """
    leaking, unknown = _leaking(bundle, judged)
    calibrated = _calibration_files(bundle)
    proven = ["every file of the bundle is as it was made (SHA-256)"]
    if calibrated and judged.part in (ALL, "test"):
        refuse_files(judged.samples, judged.index, calibrated, what="calibration", leaking=leaking)
        whose = "" if leaking else ", nor a known patient of theirs,"
        proven.append(f"none of the {len(calibrated):,} calibration images{whose} is judged on")
    if judged.split is not None and split_path is not None and _is_own(bundle, split_path):
        proven.append("the split is the one that the network was trained on")
        known = against(judged.split, judged, threshold_here=judged.part == "validation")
        return Knowledge(known.exposure, known.leaking, (*proven, *known.proven), known.not_proven)
    unknown.append(
        "a bundle does not list its training images: that none of them is judged on is not proven"
        + ("" if split_path is None else " (give the split.json that lies in its run)")
    )
    seen = judged.part if judged.part in ("train", "validation") else None
    if seen is not None:
        unknown.append(f"the {seen} part of a split is what a network is made from")
        return Knowledge(
            "train" if seen == "train" else "validation", leaking, (proven[0],), tuple(unknown)
        )
    return Knowledge("leaking" if leaking else "not-proven", leaking, tuple(proven), tuple(unknown))


def _leaking(bundle: Bundle, judged: Cells) -> tuple[bool, list[str]]:
    """Whether the split at hand, or the one of the bundle's making, lets patients be shared."""
    unknown: list[str] = []
    leaking = judged.split is not None and judged.split.leaking
    origin = bundle.manifest.data
    if leaking:
        unknown.append("the split LEAKS: figures are too good")
    elif origin is not None and origin.leaking and origin.layout == judged.index.layout:
        leaking = True
        unknown.append(
            f"the network was trained on a '{origin.split}' split of {origin.layout}, which LEAKS: "
            "its patients may be those judged on"
        )
    return leaking, unknown


def _calibration_files(bundle: Bundle) -> frozenset[str]:
    """Hashes of the images that the integer candidates were calibrated with."""
    if _CALIBRATION not in bundle.manifest.files:
        return frozenset()
    raw = read_json(bundle.path(_CALIBRATION))
    rows = raw.get("images") if isinstance(raw, dict) else None
    try:
        return frozenset(str(row["sha256"]) for row in rows or ())
    except (TypeError, KeyError) as error:
        raise IntegrityError(
            "the list of calibration images cannot be read", where=bundle.path(_CALIBRATION)
        ) from error


def _is_own(bundle: Bundle, split_path: Path) -> bool:
    """Whether the split lies beside the run that the bundle names, and is the run's."""
    description = split_path.parent / "model.json"
    wanted = bundle.manifest.source.run_sha256
    if wanted is None or not description.is_file() or sha256_file(description) != wanted:
        return False
    raw = read_json(description)
    own = raw.get("split_sha256") if isinstance(raw, dict) else None
    return bool(own == load_split(split_path).sha256)


def _probes(judged: Cells, found: Performance, progress: Progress) -> tuple[Probe, ...]:
    if judged.split is None:
        return not_measured(
            "a bundle without --split has no training part that a probe could be fitted on"
        )
    train, validation = (
        Cells.of(name, judged.index, judged.split, judged.labels)
        for name in ("train", "validation")
    )
    return probe(train, validation, judged, found, progress=progress)


def _notes(bundle: Bundle, candidate: Candidate, note: str) -> tuple[str, ...]:
    notes = [note] if note else []
    if candidate.verdict != "pass":
        verdict = candidate.verdict or "none"
        notes.append(f"candidate {candidate.id} did not pass its gate (verdict {verdict})")
    if bundle.manifest.phantom:
        notes.append("the network was made from phantom (synthetic) cells")
    return tuple(notes)
