"""Several runs over one data set, each judged on cells that it had not seen, as one evaluation."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np

from allnet_edge.data.proof import first
from allnet_edge.errors import SplitError, UsageError
from allnet_edge.evaluation.curves import curves
from allnet_edge.evaluation.exposure import SEEN
from allnet_edge.evaluation.judged import Evaluation, all_versions, warnings
from allnet_edge.evaluation.patients import patient_rows
from allnet_edge.evaluation.probes import NAMES, within
from allnet_edge.measure.performance import Performance, performance
from allnet_edge.measure.reliability import reliability
from allnet_edge.measure.scored import Scored
from allnet_edge.report.evaluation_document import (
    EvaluatedCells,
    EvaluatedNetwork,
    EvaluationDocument,
    Exposure,
    FoldFigures,
    OperatingPoint,
    ProbeResult,
)
from allnet_edge.report.evaluation_words import headline, probe_sentence

MIXED = (
    "the scores come from several networks, each on a scale of its own: ROC-AUC, PR-AUC, the Brier "
    "score and ECE over all of them mix these scales; the decisions do not, and each network's own "
    "figures are listed"
)
_WORST: tuple[Exposure, ...] = ("leaking", "not-proven", "patients-unknown", "unseen")


def pool(evaluations: Sequence[Evaluation], name: str) -> Evaluation:
    """Pool out-of-fold decisions: every cell was decided by a run that had not seen it.

    Args:
        evaluations: Each of one run (or bundle) on its own test part; together a k-fold
            cross-validation, or a part of one. Each keeps its own threshold.
        name: Of the whole.

    Raises:
        UsageError: Nothing to pool, or networks of different classes or prevalences.
        SplitError: Several data sets, a cell that was judged twice, or cells that the network that
            judged them had seen.
    """
    _require_alike(evaluations)
    documents = [one.document for one in evaluations]
    scored = _joined([one.scored for one in evaluations])
    labels = tuple(label for one in evaluations for label in one.labels)
    found = _performance(scored, documents[0])
    network, cells = _network(documents, name), _cells(documents, scored)
    probes = {
        probe: _joined([one.probes[probe] for one in evaluations])
        for probe in NAMES
        if all(probe in one.probes for one in evaluations)
    }
    results = tuple(_probe(probe, evaluations, probes.get(probe), found) for probe in NAMES)
    document = EvaluationDocument(
        title=f"{network.network}: {len(evaluations)} runs pooled on {cells.layout}",
        created=datetime.now(timezone.utc).replace(microsecond=0),
        headline=headline(network, cells, found),
        phantom=cells.layout == "phantom",
        network=network,
        cells=cells,
        operating_point=OperatingPoint(
            rule=documents[0].operating_point.rule,
            threshold=None,
            fitted_on="each run's own validation part" if scored.binary else "nothing",
            n=None,
            note="each network decides by its own threshold" if scored.binary else "",
        ),
        performance=found,
        curves=curves(scored, network.classes),
        reliability=reliability(scored),
        probes=results,
        patients=patient_rows(labels, scored),
        folds=tuple(
            FoldFigures(
                name=one.network.name,
                n=one.cells.n,
                patients=one.cells.patients,
                threshold=one.operating_point.threshold,
                figures=one.performance.figures,
            )
            for one in documents
        ),
        warnings=(
            MIXED,
            *warnings(cells),
            *(probe_sentence(one, found) for one in results if one.within),
        ),
        versions=all_versions({k: v for one in documents for k, v in one.versions.items()}),
    )
    return Evaluation(
        document=document,
        ids=tuple(i for one in evaluations for i in one.ids),
        sha256s=tuple(digest for one in evaluations for digest in one.sha256s),
        labels=labels,
        scored=scored,
        probes=probes,
    )


def _require_alike(evaluations: Sequence[Evaluation]) -> None:
    if not evaluations:
        raise UsageError("there is no evaluation to pool")
    documents = [one.document for one in evaluations]
    for what, values in (
        ("classes", {one.network.classes for one in documents}),
        ("prevalences", {one.performance.prevalence for one in documents}),
    ):
        if len(values) > 1:
            raise UsageError(f"the evaluations to pool have different {what}: {values}")
    if len({one.cells.index_sha256 for one in documents}) > 1:
        raise SplitError("the evaluations to pool are of several data sets")
    for one in documents:
        if one.cells.exposure in SEEN:
            raise SplitError(
                f"{one.network.name} was judged on cells that it had seen ({one.cells.part})",
                fix="pool evaluations of test parts",
            )
    times = Counter(digest for one in evaluations for digest in one.sha256s)
    twice = [
        name
        for one in evaluations
        for name, digest in zip(one.ids, one.sha256s, strict=True)
        if times[digest] > 1
    ]
    if twice:
        raise SplitError(
            f"{len(twice):,} images were judged more than once: {first(twice)}",
            fix="pool the folds of one k-fold split, each once",
        )


def _joined(parts: Sequence[Scored]) -> Scored:
    names = [part.patients for part in parts]
    known = [patients for patients in names if patients is not None]
    return Scored(
        labels=np.concatenate([part.labels for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        decisions=np.concatenate([part.decisions for part in parts]),
        patients=tuple(one for patients in known for one in patients)
        if len(known) == len(names)
        else None,
    )


def _performance(scored: Scored, like: EvaluationDocument) -> Performance:
    own = like.performance
    return performance(
        scored, own.classes, prevalence=own.prevalence, resamples=own.resamples, seed=own.seed
    )


def _network(documents: Sequence[EvaluationDocument], name: str) -> EvaluatedNetwork:
    like = documents[0].network
    hashes = {
        f"{one.network.name}: {what}": digest
        for one in documents
        for what, digest in one.network.hashes.items()
    }
    return like.model_copy(
        update={
            "kind": "pooled",
            "name": name,
            "network": "+".join(dict.fromkeys(one.network.network for one in documents)),
            "candidate": None,
            "verdict": None,
            "hashes": hashes,
        }
    )


def _cells(documents: Sequence[EvaluationDocument], scored: Scored) -> EvaluatedCells:
    cells = [one.cells for one in documents]
    like = cells[0]
    return like.model_copy(
        update={
            "part": "out of fold",
            "protocol": "+".join(dict.fromkeys(one.protocol or "none" for one in cells)),
            "leaking": any(one.leaking for one in cells),
            "why": "; ".join(dict.fromkeys(one.why for one in cells)),
            "exposure": min((one.exposure for one in cells), key=_WORST.index),
            "proven": _proven(cells),
            "not_proven": tuple(dict.fromkeys(w for one in cells for w in one.not_proven)),
            "n": len(scored),
            "patients": None if scored.patients is None else len(set(scored.patients)),
            "of_class": {name: sum(one.of_class[name] for one in cells) for name in like.of_class},
            "parts": {f"fold {at}": one.n for at, one in enumerate(cells, start=1)},
        }
    )


def _proven(cells: Sequence[EvaluatedCells]) -> tuple[str, ...]:
    """What holds of the whole because it was proven of each."""
    found = ["no image was judged twice"]
    if all(one.exposure != "not-proven" for one in cells):
        found.append("no image was judged by a network that was trained or chosen on it")
    if all(one.exposure == "unseen" for one in cells):
        found.append("no patient was judged by a network that was trained or chosen on him or her")
    return tuple(found)


def _probe(
    name: str, evaluations: Sequence[Evaluation], scored: Scored | None, network: Performance
) -> ProbeResult:
    own = [
        next(probe for probe in one.document.probes if probe.name == name) for one in evaluations
    ]
    if scored is None:
        return next(probe for probe in own if probe.performance is None)
    found = _performance(scored, evaluations[0].document)
    return own[0].model_copy(
        update={
            "trained_on": None,
            "threshold": None,
            "performance": found,
            "roc": curves(scored, network.classes)[0].roc if scored.binary else (),
            "within": within(found, network),
        }
    )
