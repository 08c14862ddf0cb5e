"""The figures of one network on the validation part."""

import numpy as np
import pytest
from scipy import stats

from allnet_edge.artifacts.manifest import DataOrigin
from allnet_edge.cli.views.train import in_words
from allnet_edge.training.validation import RunMetrics, ValidationFigures, loss_and_accuracy


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([[0.9], [0.2], [0.6]], (-np.log([0.9, 0.8, 0.4]).mean(), 2 / 3)),
        ([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], (-np.log([0.9, 0.8, 0.3]).mean(), 2 / 3)),
        ([[1.0], [0.0], [0.0]], (0.0, 1.0)),
    ],
    ids=["sigmoid", "softmax", "certain"],
)
def test_loss_and_accuracy(scores, expected):
    labels = np.array([1, 0, 0])
    found = loss_and_accuracy(np.array(scores, np.float32), labels)
    assert found == pytest.approx(expected, abs=1e-6)


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
