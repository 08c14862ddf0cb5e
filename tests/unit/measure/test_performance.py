"""Every figure against scikit-learn, every resample against the cells that it really holds."""

import numpy as np
import pytest
from sklearn import metrics as oracle
from test_metrics import PAPERS

from allnet_edge.errors import DataError
from allnet_edge.measure import performance as module
from allnet_edge.measure.clusters import patient_weights
from allnet_edge.measure.metrics import confusion
from allnet_edge.measure.performance import UNDEFINED, Performance, performance
from allnet_edge.measure.resampling import PatientSums
from allnet_edge.measure.scored import Scored

RESAMPLES = 120
CLASSES = ("Benign", "Early", "Pre", "Pro")


def binary(
    seed: int = 0, *, patients: int | None = 14, per_patient: int = 9, decimals: int = 6
) -> Scored:
    """Patients of one class each, as in C-NMC."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients or 14), per_patient)
    labels = owner % 2 == 0
    lean = rng.normal(0, 0.1, owner.max() + 1)[owner]
    scores = np.clip(0.5 + 0.12 * (2 * labels - 1) + lean + rng.normal(0, 0.2, owner.size), 0, 1)
    names = tuple(f"p{number}" for number in owner) if patients else None
    return Scored.by_threshold(labels, np.round(scores, decimals), 0.47, names)


def softmax(seed: int = 0, *, patients: int | None = 24, n: int = 240) -> Scored:
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, patients or n, n)
    labels = (owner % 4 + (rng.random(n) < 0.2)) % 4
    powers = np.exp(rng.normal(0, 1, (n, 4)) + 1.3 * np.eye(4)[labels])
    names = tuple(f"p{number}" for number in owner) if patients else None
    return Scored.by_argmax(labels, powers / powers.sum(axis=1, keepdims=True), names)


def by_scikit_learn(scored: Scored, prevalence: float = 0.1) -> dict[str, float]:
    """The figures of two classes; NaN where a class is missing."""
    truth, called, scores = scored.labels, scored.decisions, scored.scores[:, 1]
    sensitivity = oracle.recall_score(truth, called, zero_division=np.nan)
    specificity = oracle.recall_score(1 - truth, 1 - called, zero_division=np.nan)
    alarms = (1 - prevalence) * (1 - specificity)
    misses = prevalence * (1 - sensitivity)
    both = 0 < truth.sum() < truth.size
    return {
        "accuracy": oracle.accuracy_score(truth, called),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": oracle.precision_score(truth, called, zero_division=np.nan),
        "npv": oracle.precision_score(1 - truth, 1 - called, zero_division=np.nan),
        "f1": oracle.f1_score(truth, called, zero_division=np.nan),
        "weighted_f1": oracle.f1_score(truth, called, average="weighted"),
        "roc_auc": oracle.roc_auc_score(truth, scores) if both else np.nan,
        "pr_auc": oracle.average_precision_score(truth, scores) if truth.any() else np.nan,
        "brier": np.mean((scores - truth) ** 2),
        "ece": by_hand_ece(scores, truth),
        "ppv_at_prevalence": prevalence * sensitivity / (prevalence * sensitivity + alarms),
        "npv_at_prevalence": (1 - prevalence)
        * specificity
        / ((1 - prevalence) * specificity + misses),
    }


def by_hand_ece(said: np.ndarray, true: np.ndarray) -> float:
    total = 0.0
    for at in range(15):
        inside = (said > at / 15) & (said <= (at + 1) / 15) | ((at == 0) & (said == 0))
        if inside.any():
            total += inside.sum() * abs(said[inside].mean() - true[inside].mean())
    return total / said.size


def drawn_cells(scored: Scored, weights: np.ndarray) -> list[Scored]:
    """The cells that each resample really holds; a class may be missing, so unchecked."""
    samples = []
    for row in weights:
        chosen = np.repeat(np.arange(len(scored)), row[scored.owner])
        one = object.__new__(Scored)
        for name in ("labels", "scores", "decisions"):
            object.__setattr__(one, name, getattr(scored, name)[chosen])
        object.__setattr__(one, "patients", None)
        samples.append(one)
    return samples


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.id)
def test_the_papers_digits_come_out_of_cells_with_their_counts(paper):
    c = paper.confusion
    labels = np.repeat([True, True, False, False], [c.tp, c.fn, c.tn, c.fp])
    scores = np.repeat([0.9, 0.1, 0.1, 0.9], [c.tp, c.fn, c.tn, c.fp])
    found = performance(Scored.by_threshold(labels, scores, 0.5), ("hem", "all"), resamples=2)
    assert found.confusion == ((c.tn, c.fp), (c.fn, c.tp))
    for name, text in paper.printed.items():
        digits = len(text.split(".")[1].rstrip("%"))
        value = found.figures[name].value
        shown = f"{value:.{digits}%}" if text.endswith("%") else f"{value:.{digits}f}"[1:]
        assert shown == text, name
    if not c.fn + c.tn:  # the collapsed network: its ROC area is one half
        assert f"{found.figures['roc_auc'].value:.1f}" == "0.5"


class TestTwoClasses:
    @pytest.mark.parametrize("decimals", [6, 1], ids=["no ties", "ties"])
    def test_values_are_scikit_learns(self, decimals):
        scored = binary(1, decimals=decimals)
        found = performance(scored, ("hem", "all"), prevalence=0.1, resamples=2)
        expected = by_scikit_learn(scored)
        assert set(found.figures) == set(expected)
        for name, value in expected.items():
            assert found.figures[name].value == pytest.approx(value, abs=1e-12), name

    def test_values_are_those_of_the_counts(self):
        scored = binary(2)
        found = performance(scored, ("hem", "all"), resamples=2).figures
        counts = confusion(scored.labels == 1, scored.scores[:, 1], 0.47)
        for name, value in counts.to_json().items():
            if name in found:
                assert found[name].value == pytest.approx(value, abs=1e-12)

    @pytest.mark.parametrize(
        ("patients", "decimals"), [(14, 6), (14, 1), (3, 6)], ids=["many", "ties", "a class lost"]
    )
    def test_every_resample_has_the_figures_of_its_cells(self, patients, decimals):
        scored = binary(3, patients=patients, decimals=decimals)
        sums = PatientSums.of(scored, scored.owner, 0.1)
        (weights,) = patient_weights(patients, 60, seed=4)
        fast = sums.resample(weights).overall
        for at, cells in enumerate(drawn_cells(scored, weights)):
            for name, value in by_scikit_learn(cells).items():
                assert fast[name][at] == pytest.approx(value, abs=1e-9, nan_ok=True), name

    def test_intervals_are_at_least_as_wide_as_the_naive_bootstrap(self):
        scored = binary(5)
        found = performance(scored, ("hem", "all"), prevalence=0.1, resamples=RESAMPLES, seed=6)
        (weights,) = patient_weights(14, RESAMPLES, seed=6)
        slow = [by_scikit_learn(cells) for cells in drawn_cells(scored, weights)]
        for name, figure in found.figures.items():
            if name == "ece":
                continue
            lower, upper = np.nanquantile([one[name] for one in slow], [0.025, 0.975])
            assert figure.lower <= lower + 1e-9, name
            assert figure.upper >= upper - 1e-9, name
            assert figure.lower <= figure.value <= figure.upper
            assert "bootstrap over patients (120)" in figure.method

    def test_ece_allows_for_what_resamples_make_it_too_large_by(self):
        scored = binary(5)
        found = performance(scored, ("hem", "all"), resamples=RESAMPLES, seed=6).figures["ece"]
        (weights,) = patient_weights(14, RESAMPLES, seed=6)
        slow = [by_scikit_learn(cells)["ece"] for cells in drawn_cells(scored, weights)]
        low, middle, high = np.quantile(slow, [0.025, 0.5, 0.975])
        assert middle > found.value, "a resample looks worse calibrated than the cells are"
        stretch = 2.160368656 / 1.959963985  # Student's quantile of 13 degrees over the normal one
        expected = max(0, found.value - (middle - found.value) - stretch * (middle - low))
        assert found.lower == pytest.approx(expected, abs=1e-7)
        expected = found.value + stretch * (high - middle)
        assert found.upper == pytest.approx(expected, abs=1e-7)

    def test_a_network_without_an_error_keeps_its_intervals(self):
        """Every resample of these six patients is perfect, too."""
        labels = np.repeat([True, False], 15)
        names = tuple(f"p{number}" for number in np.repeat(np.arange(6), 5))
        scored = Scored.by_threshold(labels, labels.astype(float), 0.5, names)
        found = performance(scored, ("hem", "all"), prevalence=0.3, resamples=RESAMPLES).figures
        for name, figure in found.items():
            if name in ("brier", "ece"):
                continue
            assert figure.value == 1, name
            assert figure.upper == 1
            assert 0 < figure.lower < 0.97, name

    def test_one_patient_says_nothing_about_others(self):
        scored = Scored.by_threshold(
            np.array([True, True, False]), np.array([0.9, 0.2, 0.1]), 0.5, ("a", "a", "a")
        )
        found = performance(scored, ("hem", "all"), resamples=20).figures
        for name in ("accuracy", "sensitivity", "ppv", "f1", "roc_auc", "pr_auc", "brier", "ece"):
            assert (found[name].lower, found[name].upper) == (0, 1), name

    def test_a_rate_of_nothing_is_undefined_not_zero(self):
        scored = Scored.by_threshold(np.array([True, False]), np.array([0.4, 0.1]), 0.5)
        found = performance(scored, ("hem", "all"), prevalence=0.2, resamples=20).figures
        assert found["ppv"].model_dump() == {
            "value": None, "lower": None, "upper": None, "n": 0, "method": UNDEFINED,
        }  # fmt: skip
        assert found["ppv_at_prevalence"].value is None
        assert found["npv"].value == 0.5

    def test_n_is_what_a_figure_is_of(self):
        scored = binary(1)
        found = performance(scored, ("hem", "all"), resamples=2)
        counts = {name: figure.n for name, figure in found.figures.items()}
        assert counts["sensitivity"] + counts["specificity"] == counts["accuracy"] == len(scored)
        assert counts["ppv"] + counts["npv"] == len(scored)
        assert found.patients == 14

    @pytest.mark.parametrize("name", ["balanced_accuracy", "weighted_f1", "pr_auc", "brier"])
    def test_the_interval_holds_the_truth_as_often_as_it_promises(self, name):
        """Twelve patients whose cells lean together; the truth is that of very many of them."""

        def sample(rng: np.random.Generator, patients: int) -> Scored:
            owner = np.repeat(np.arange(patients), 20)
            labels = owner % 2 == 0
            lean = rng.normal(0, 0.6, patients)[owner]
            logit = 2 * labels - 1 + lean + rng.normal(0, 1, owner.size)
            return Scored.by_threshold(labels, 1 / (1 + np.exp(-logit)), 0.5, list(map(str, owner)))

        def value(scored: Scored) -> float:
            owner = np.zeros(len(scored), np.int64)
            return float(PatientSums.of(scored, owner).once().overall[name][0])

        truth = value(sample(np.random.default_rng(0), 4000))
        rng, covered = np.random.default_rng(1), []
        for _ in range(80):
            found = performance(sample(rng, 12), ("hem", "all"), resamples=100).figures[name]
            covered.append(found.lower <= truth <= found.upper)
        assert np.mean(covered) >= 0.9


class TestSeveralClasses:
    @pytest.fixture
    def made(self) -> tuple[Scored, Performance]:
        scored = softmax(1)
        return scored, performance(scored, CLASSES, resamples=RESAMPLES)

    def test_averages_are_scikit_learns(self, made):
        scored, found = made
        truth, called, scores = scored.labels, scored.decisions, scored.scores
        assert found.confusion == tuple(map(tuple, oracle.confusion_matrix(truth, called)))
        expected = {
            "accuracy": oracle.accuracy_score(truth, called),
            "balanced_accuracy": oracle.balanced_accuracy_score(truth, called),
            "ece": by_hand_ece(scores.max(axis=1), (scores.argmax(axis=1) == truth).astype(float)),
        }
        for kind in ("macro", "weighted"):
            expected[f"{kind}_ppv"] = oracle.precision_score(truth, called, average=kind)
            expected[f"{kind}_f1"] = oracle.f1_score(truth, called, average=kind)
            expected[f"{kind}_roc_auc"] = oracle.roc_auc_score(
                truth, scores, average=kind, multi_class="ovr"
            )
            expected[f"{kind}_pr_auc"] = oracle.average_precision_score(
                np.eye(4)[truth], scores, average="macro" if kind == "macro" else None
            )
        by_class = expected["weighted_pr_auc"]
        expected["weighted_pr_auc"] = by_class @ np.bincount(truth) / len(scored)
        for name, value in expected.items():
            assert found.figures[name].value == pytest.approx(value, abs=1e-12), name

    def test_each_class_is_scikit_learns_against_the_rest(self, made):
        scored, found = made
        for position, name in enumerate(CLASSES):
            truth, called = scored.labels == position, scored.decisions == position
            figures, scores = found.per_class[name], scored.scores[:, position]
            expected = {
                "sensitivity": oracle.recall_score(truth, called),
                "specificity": oracle.recall_score(~truth, ~called),
                "ppv": oracle.precision_score(truth, called),
                "f1": oracle.f1_score(truth, called),
                "roc_auc": oracle.roc_auc_score(truth, scores),
                "pr_auc": oracle.average_precision_score(truth, scores),
            }
            assert {key: figure.value for key, figure in figures.items()} == pytest.approx(expected)
            assert figures["sensitivity"].n == truth.sum()

    def test_every_figure_lies_in_its_interval(self, made):
        _, found = made
        for figures in (found.figures, *found.per_class.values()):
            for figure in figures.values():
                assert 0 <= figure.lower < figure.value < figure.upper <= 2

    def test_every_resample_has_the_figures_of_its_cells(self):
        scored = softmax(2)
        sums = PatientSums.of(scored, scored.owner)
        (weights,) = patient_weights(sums.patients, 20, seed=1)
        fast = sums.resample(weights)
        for at, cells in enumerate(drawn_cells(scored, weights)):
            truth, called = cells.labels, cells.decisions
            if np.unique(truth).size < 4:
                continue
            expected = {
                "balanced_accuracy": oracle.balanced_accuracy_score(truth, called),
                "macro_f1": oracle.f1_score(truth, called, average="macro"),
                "weighted_f1": oracle.f1_score(truth, called, average="weighted"),
                "macro_roc_auc": oracle.roc_auc_score(truth, cells.scores, multi_class="ovr"),
            }
            for name, value in expected.items():
                assert fast.overall[name][at] == pytest.approx(value, abs=1e-9)

    def test_a_class_that_is_never_decided_for_has_no_predictive_value(self):
        labels = np.array([0, 0, 1, 1, 2, 2])
        scores = np.array([[0.8, 0.1, 0.1]] * 3 + [[0.1, 0.8, 0.1]] * 3)
        found = performance(Scored.by_argmax(labels, scores), ("a", "b", "c"), resamples=20)
        assert found.per_class["c"]["ppv"].value is None
        assert found.figures["macro_ppv"].value is None
        assert found.per_class["c"]["f1"].value == 0
        assert found.figures["macro_f1"].value is not None


class TestUnknownPatients:
    def test_cells_are_taken_as_independent_and_it_is_said(self):
        scored = binary(1, patients=None)
        found = performance(scored, ("hem", "all"), resamples=RESAMPLES)
        assert found.patients is None
        assert found.figures["accuracy"].method == "Wilson, cells taken as independent"
        assert "DeLong" in found.figures["roc_auc"].method
        assert "bootstrap over cells" in found.figures["weighted_f1"].method

    def test_known_patients_widen_the_intervals(self):
        known, unknown = binary(7, per_patient=40), binary(7, per_patient=40, patients=None)
        wide = performance(known, ("hem", "all"), resamples=RESAMPLES).figures
        narrow = performance(unknown, ("hem", "all"), resamples=RESAMPLES).figures
        for name in ("accuracy", "balanced_accuracy", "f1", "roc_auc", "pr_auc", "brier"):
            assert wide[name].value == narrow[name].value
            assert wide[name].upper - wide[name].lower > narrow[name].upper - narrow[name].lower


def test_blocks_of_resamples_change_nothing(monkeypatch):
    scored = binary(1)
    whole = performance(scored, ("hem", "all"), resamples=RESAMPLES)
    original = patient_weights
    monkeypatch.setattr(
        module,
        "patient_weights",
        lambda n, resamples, seed, **_: original(n, resamples, seed, block=7 * n),
    )
    again = performance(scored, ("hem", "all"), resamples=RESAMPLES)
    for name, figure in whole.figures.items():
        other = again.figures[name]
        expected = (figure.value, figure.lower, figure.upper)
        assert (other.value, other.lower, other.upper) == pytest.approx(expected, abs=1e-12)


def test_the_seed_decides():
    scored = binary(1)
    first, again, other = (
        performance(scored, ("hem", "all"), resamples=50, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.figures != other.figures


@pytest.mark.parametrize(
    ("labels", "scores", "what"),
    [
        ([0, 0], [[0.5, 0.5], [0.5, 0.5]], "cells of each class: 2, 0"),
        ([0, 1, 1], [[0.5, 0.5], [0.5, 0.5]], "differ in length"),
        ([0, 1], [[0.5, np.nan], [0.5, 0.5]], "NaN"),
        ([0, 1], [[-3.0, 4.0], [0.5, 0.5]], "not in 0..1"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], "every one of the 2 classes"),
    ],
)
def test_cells_that_cannot_be_judged_are_refused(labels, scores, what):
    with pytest.raises(DataError, match=what):
        Scored.by_argmax(np.array(labels), np.array(scores))
