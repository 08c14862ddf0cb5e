"""Evaluations made of drawn cells, for the tests of their page."""

from datetime import datetime, timezone

import numpy as np

from allnet_edge.measure.intervals import wilson
from allnet_edge.measure.metrics import roc_curve
from allnet_edge.measure.performance import performance
from allnet_edge.measure.ranking import precision_recall_curve
from allnet_edge.measure.reliability import reliability
from allnet_edge.measure.scored import Scored
from allnet_edge.report.evaluation_document import (
    ClassCurves,
    EvaluatedCells,
    EvaluatedNetwork,
    EvaluationDocument,
    FoldFigures,
    OperatingPoint,
    PatientRow,
    ProbeResult,
)
from allnet_edge.report.evaluation_words import headline

STAGES = ("Benign", "Early", "Pre", "Pro")


def cells(k: int, *, known: bool = True, strength: float = 2.0, seed: int = 0) -> Scored:
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(24), 12)
    labels = owner % k
    logits = rng.normal(0, 1, (owner.size, k)) + strength * np.eye(k)[labels]
    powers = np.exp(logits)
    scores = powers / powers.sum(axis=1, keepdims=True)
    names = tuple(f"p{number:02}" for number in owner) if known else None
    if k == 2:
        return Scored.by_threshold(labels == 1, scores[:, 1], 0.45, names)
    return Scored.by_argmax(labels, scores, names)


def document(k: int = 2, *, known: bool = True, **changes: object) -> EvaluationDocument:
    """An evaluation of ``k`` classes; ``exposure``, ``leaking`` and ``layout`` are of the cells."""
    classes = ("hem", "all") if k == 2 else STAGES[:k]
    of_cells = {
        name: changes.pop(name)
        for name in ("exposure", "leaking", "layout", "proven", "not_proven", "why", "part")
        if name in changes
    }
    scored = cells(k, known=known)
    found = performance(scored, classes, resamples=40, prevalence=0.1 if k == 2 else None)
    network = EvaluatedNetwork(
        kind="run", name="first", network="allnet", classes=classes, engine="Keras on jax",
        turns=8, hashes={"model.json": "ab" * 32, "split": "cd" * 32},
    )  # fmt: skip
    judged = EvaluatedCells(
        **{
            "layout": "cnmc", "index_sha256": "ef" * 32, "part": "test", "protocol": "patient",
            "leaking": False, "why": "73 patients, dealt whole", "exposure": "unseen",
            "proven": ("no image was seen", "no patient was seen"), "not_proven": (),
            "n": len(scored), "patients": 24 if known else None,
            "of_class": {name: int((scored.labels == at).sum()) for at, name in enumerate(classes)},
            "parts": {"train": 900, "validation": 300, "test": len(scored)},
        } | of_cells
    )  # fmt: skip
    return EvaluationDocument(
        **{
            "title": "allnet: test part of cnmc",
            "created": datetime(2026, 11, 21, 9, 30, tzinfo=timezone.utc),
            "headline": headline(network, judged, found),
            "phantom": judged.layout == "phantom",
            "network": network,
            "cells": judged,
            "operating_point": point(k),
            "performance": found,
            "at_half": dict(list(found.figures.items())[:8]) if k == 2 else None,
            "curves": curves(scored, classes),
            "reliability": reliability(scored),
            "probes": (probe(k, known=known), background()),
            "patients": patients(scored) if known else (),
            "versions": {"keras": "3.15.1", "jax": "0.10.2"},
        } | changes
    )  # fmt: skip


def point(k: int) -> OperatingPoint:
    if k == 2:
        fitted = "validation part, for the best balanced accuracy"
        return OperatingPoint(rule="threshold", threshold=0.45, fitted_on=fitted, n=300)
    return OperatingPoint(rule="argmax", threshold=None, fitted_on="nothing", n=None)


def curves(scored: Scored, classes: tuple[str, ...]) -> tuple[ClassCurves, ...]:
    found = []
    for at, name in enumerate(classes):
        side = scored.side(at)
        roc, precision = roc_curve(side.truth, side.scores), precision_recall_curve(side)
        found.append(
            ClassCurves(
                name=name,
                roc=tuple(zip(roc.fpr.tolist(), roc.tpr.tolist(), strict=True)),
                precision_recall=tuple(
                    zip(precision.recall.tolist(), precision.precision.tolist(), strict=True)
                ),
            )
        )
    return tuple(found[1:] if scored.binary else found)


def probe(k: int, *, known: bool = True, within: tuple[str, ...] = ()) -> ProbeResult:
    scored = cells(k, known=known, strength=0.6, seed=1)
    classes = ("hem", "all") if k == 2 else STAGES[:k]
    return ProbeResult(
        name="size-and-brightness",
        status="measured",
        features=("share of the area", "mean brightness"),
        trained_on=900,
        threshold=0.5 if k == 2 else None,
        performance=performance(scored, classes, resamples=40, prevalence=0.1 if k == 2 else None),
        roc=curves(scored, classes)[0].roc if k == 2 else (),
        within=within,
    )


def background() -> ProbeResult:
    why = "100% of the training images are cells on black: no background"
    return ProbeResult(name="background", status="not applicable", why=why)


def patients(scored: Scored) -> tuple[PatientRow, ...]:
    rows = []
    for name in sorted(set(scored.patients)):
        own = np.array(scored.patients) == name
        n, right = int(own.sum()), int(scored.right[own].sum())
        lower, upper = wilson(right, n, 0.975)
        rows.append(
            PatientRow(
                patient=name, label="all", n=n, right=right, accuracy=right / n, lower=lower,
                upper=upper, score=float(scored.scores[own, 1].mean()),
            )
        )  # fmt: skip
    return tuple(sorted(rows, key=lambda row: row.accuracy))


def folds(found: EvaluationDocument) -> tuple[FoldFigures, ...]:
    return tuple(
        FoldFigures(
            name=f"fold-{at}", n=144, patients=12, threshold=0.4 + at / 100,
            figures=found.performance.figures,
        )
        for at in range(2)
    )  # fmt: skip
