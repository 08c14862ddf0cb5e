"""How long every figure of a network takes with its intervals, and how often these hold the truth.

python benchmarks/bootstrap_time.py        writes benchmarks/results/bootstrap_time.json

Time: 2,139 cells (the size of ALLNet's test set), 2,000 resamples of the patients, all figures, one
core. A naive bootstrap that draws the cells and asks scikit-learn is timed on few resamples, for
comparison. Coverage: drawn patients whose cells lean together by a random amount; the truth is that
of 6,000 such patients.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy is imported

import statistics  # noqa: E402
import time  # noqa: E402
from datetime import date  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from sklearn import metrics as sklearn_metrics  # noqa: E402

from allnet_edge.artifacts.files import write_json  # noqa: E402
from allnet_edge.measure.clusters import patient_weights  # noqa: E402
from allnet_edge.measure.performance import performance  # noqa: E402
from allnet_edge.measure.resampling import PatientSums  # noqa: E402
from allnet_edge.measure.scored import Scored  # noqa: E402
from allnet_edge.measure.system import describe  # noqa: E402

CELLS, RESAMPLES, RUNS, NAIVE = 2139, 2000, 5, 40
CASES = (
    ("two classes, 28 patients", 2, 28),
    ("two classes, 101 patients", 2, 101),
    ("two classes, patients unknown", 2, None),
    ("four classes, 28 patients", 4, 28),
    ("four classes, patients unknown", 4, None),
)
COVERAGE_RUNS, COVERAGE_RESAMPLES = 300, 200
COVERAGE = ((6, 0.6), (8, 0.6), (28, 0.6), (28, 0.0))  # patients, spread of their leaning
RESULT = Path(__file__).parent / "results" / "bootstrap_time.json"


def drawn(classes: int, patients: int | None, seed: int = 0) -> Scored:
    rng = np.random.default_rng(seed)
    labels = (rng.random(CELLS) < 0.68).astype(int) if classes == 2 else rng.integers(0, 4, CELLS)
    names = None if patients is None else tuple(map(str, rng.integers(0, patients, CELLS)))
    logits = rng.normal(0, 1, (CELLS, classes)) + 2 * np.eye(classes)[labels]
    powers = np.exp(logits)
    scores = powers / powers.sum(axis=1, keepdims=True)
    if classes == 2:
        return Scored.by_threshold(labels == 1, scores[:, 1], 0.5, names)
    return Scored.by_argmax(labels, scores, names)


def timed() -> list[dict[str, object]]:
    rows = []
    for title, classes, patients in CASES:
        scored, seconds = drawn(classes, patients), []
        for _ in range(RUNS):
            began = time.process_time()
            found = performance(
                scored, tuple("ABCD"[:classes]), resamples=RESAMPLES,
                prevalence=0.1 if classes == 2 else None,
            )  # fmt: skip
            seconds.append(time.process_time() - began)
        figures = len(found.figures) + sum(len(one) for one in found.per_class.values())
        rows.append(
            {
                "case": title,
                "cells": CELLS,
                "resamples": RESAMPLES,
                "figures": figures,
                "median_cpu_seconds": round(statistics.median(seconds), 3),
                "max_cpu_seconds": round(max(seconds), 3),
            }
        )
        print(rows[-1])
    return rows


def naive_seconds() -> float:
    """CPU seconds that 2,000 resamples would take: cells drawn, scikit-learn asked each time."""
    scored = drawn(2, 28)
    owner = scored.owner
    (weights,) = patient_weights(28, NAIVE, seed=0)
    began = time.process_time()
    for row in weights:
        chosen = np.repeat(np.arange(CELLS), row[owner])
        truth, called = scored.labels[chosen], scored.decisions[chosen]
        scores = scored.scores[chosen, 1]
        sklearn_metrics.confusion_matrix(truth, called)
        sklearn_metrics.f1_score(truth, called, average="weighted")
        sklearn_metrics.roc_auc_score(truth, scores)
        sklearn_metrics.average_precision_score(truth, scores)
        sklearn_metrics.brier_score_loss(truth, scores)
    return (time.process_time() - began) / NAIVE * RESAMPLES


def leaning(rng: np.random.Generator, patients: int, spread: float) -> Scored:
    """Patients of 20 cells, of one class each."""
    owner = np.repeat(np.arange(patients), 20)
    labels = owner % 2 == 0
    lean = rng.normal(0, spread, patients)[owner]
    logit = 2 * labels - 1 + lean + rng.normal(0, 1, owner.size)
    return Scored.by_threshold(labels, 1 / (1 + np.exp(-logit)), 0.5, list(map(str, owner)))


def coverage() -> list[dict[str, object]]:
    rows = []
    for patients, spread in COVERAGE:
        many = leaning(np.random.default_rng(0), 6000, spread)
        once = PatientSums.of(many, np.zeros(len(many), np.int64), 0.1).once().overall
        truth = {name: float(value[0]) for name, value in once.items()}
        rng, held = np.random.default_rng(1), dict.fromkeys(truth, 0)
        for _ in range(COVERAGE_RUNS):
            found = performance(
                leaning(rng, patients, spread), ("hem", "all"), prevalence=0.1,
                resamples=COVERAGE_RESAMPLES,
            ).figures  # fmt: skip
            for name, value in truth.items():
                held[name] += found[name].lower <= value <= found[name].upper
        rows.append(
            {
                "patients": patients,
                "spread_of_patients": spread,
                "runs": COVERAGE_RUNS,
                "share_of_intervals_that_hold_the_truth": {
                    name: round(count / COVERAGE_RUNS, 3) for name, count in held.items()
                },
            }
        )
        print(rows[-1])
    return rows


def main() -> None:
    rows = timed()
    naive = round(naive_seconds(), 1)
    print(f"naive: {naive} s")
    figures = {
        "date": date.today().isoformat(),
        "machine": describe(("numpy", "scikit-learn")).model_dump(mode="json"),
        "threads": 1,
        "runs": RUNS,
        "time": rows,
        "naive_cpu_seconds": {
            "value": naive,
            "how": f"{NAIVE} resamples with scikit-learn, extrapolated to {RESAMPLES}; six figures",
        },
        "coverage_of_95_percent_intervals": coverage(),
    }
    write_json(RESULT, figures)


if __name__ == "__main__":
    main()
