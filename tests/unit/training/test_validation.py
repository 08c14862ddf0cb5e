"""The figures of one network on the validation part."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from allnet_edge.artifacts.manifest import DataOrigin
from allnet_edge.cli.views.train import in_words
from allnet_edge.training.validation import RunMetrics, ValidationFigures, auc_of_two, in_short


def softmax(rng: np.random.Generator, n: int, classes: int) -> np.ndarray:
    raw = rng.normal(0, 2, (n, classes))
    return (np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_in_short_is_cross_entropy_and_scikit_learns_accuracy_and_weighted_f1(classes, seed):
    rng = np.random.default_rng(seed)
    wide, labels = softmax(rng, 57, classes), rng.integers(0, classes, 57)
    called = wide.argmax(axis=1)
    expected = (
        -np.log(wide[np.arange(57), labels].astype(np.float64)).mean(),
        accuracy_score(labels, called),
        f1_score(labels, called, average="weighted"),
    )
    assert in_short(wide, labels) == pytest.approx(expected, rel=1e-5)
    if classes == 2:
        assert in_short(wide[:, 1:], labels) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_auc_of_two_is_scikit_learns_and_none_with_more_classes(seed):
    rng = np.random.default_rng(seed)
    wide, labels = softmax(rng, 57, 2), rng.integers(0, 2, 57)
    expected = pytest.approx(roc_auc_score(labels, wide[:, 1]), rel=1e-6)
    assert auc_of_two(wide, labels) == expected
    assert auc_of_two(wide[:, 1:], labels) == expected
    assert auc_of_two(softmax(rng, 57, 4), rng.integers(0, 4, 57)) is None


def test_in_short_of_a_network_that_calls_everything_positive():
    """InceptionV3 in ALLNet's paper: 1499 of 2138 are positive, and so are all answers."""
    labels = np.repeat([1, 0], [1499, 639])
    scores = np.full((2138, 1), 0.9, np.float32)
    _, accuracy, f1 = in_short(scores, labels)
    assert accuracy == pytest.approx(0.7011, abs=5e-5)
    assert f1 == pytest.approx(f1_score(labels, labels * 0 + 1, average="weighted"))


def test_in_short_of_certain_answers_is_finite():
    labels = np.array([1, 0, 0])
    right = np.array([[1.0], [0.0], [0.0]], np.float32)
    assert in_short(right, labels) == (0.0, 1.0, 1.0)
    loss, accuracy, f1 = in_short(1 - right, labels)
    assert (accuracy, f1) == (0.0, 0.0)
    assert loss == pytest.approx(-np.log(1e-7), rel=1e-3)


def test_in_short_a_class_that_is_neither_there_nor_called_does_not_count():
    labels = np.array([0, 2, 2, 0])
    wide = np.eye(3, dtype=np.float32)[[0, 2, 0, 0]]
    expected = f1_score(labels, [0, 2, 0, 0], average="weighted")
    assert in_short(wide, labels)[2] == pytest.approx(expected)


def test_in_short_of_scores_that_are_no_numbers_is_no_number():
    """So that training sees it."""
    assert np.isnan(in_short(np.full((3, 1), np.nan, np.float32), np.array([1, 0, 0]))[0])


SCORES = np.array([[0.9], [0.8], [0.4], [0.7], [0.1], [0.2], [0.3]], np.float32)
LABELS = np.array([1, 1, 1, 0, 0, 0, 0])


def test_every_share_has_wilsons_two_sided_95_percent():
    figures = ValidationFigures.of(SCORES, LABELS, epoch=4)
    assert (figures.n, figures.epoch) == (7, 4)
    expected = {"accuracy": (5, 7), "sensitivity": (2, 3), "specificity": (3, 4)}
    for name, (right, n) in expected.items():
        assert getattr(figures, name) == pytest.approx(right / n)
        bounds = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
        assert figures.intervals[name] == pytest.approx(tuple(bounds))


def test_a_softmax_of_two_classes_has_the_same_figures():
    wide = np.concatenate([1 - SCORES, SCORES], axis=1)
    assert ValidationFigures.of(wide, LABELS, 1) == ValidationFigures.of(SCORES, LABELS, 1)


def test_with_more_classes_there_is_no_sensitivity():
    figures = ValidationFigures.of(np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0]), 1)
    assert (figures.accuracy, figures.sensitivity, figures.specificity) == (0.75, None, None)
    assert list(figures.intervals) == ["accuracy"]


def test_without_a_cell_of_a_class_its_rate_is_unknown():
    figures = ValidationFigures.of(SCORES[:3], LABELS[:3], 1)
    assert figures.specificity is None
    assert "specificity" not in figures.intervals


def metrics(**origin: object) -> RunMetrics:
    known = {"layout": "cnmc", "split": "patient", "leaking": False} | origin
    return RunMetrics.of(ValidationFigures.of(SCORES, LABELS, 2), DataOrigin(**known), epochs=9)


def test_in_words_there_are_the_number_of_cells_the_split_and_the_intervals():
    text = in_words(metrics())
    assert "on 7 validation cells, split by patient: accuracy 71.4" in text
    assert "sensitivity 66.7" in text
    assert "(20.8" in text
    assert "epoch 2: the best of 9 epochs on this same part, hence optimistic" in text
    assert "phantom" not in text
    assert "LEAKING" not in text


def test_in_words_leaks_and_phantoms_are_named():
    assert "split by random, LEAKING" in in_words(metrics(split="random", leaking=True))
    assert "knows nothing about real ones" in in_words(metrics(layout="phantom"))
    assert metrics(layout="phantom").phantom
