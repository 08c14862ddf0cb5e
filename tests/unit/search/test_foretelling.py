"""Foretelling what the gate is going to see of a form."""

from dataclasses import replace

import numpy as np
import pytest

from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.intervals import tango
from allnet_edge.measure.thresholds import transfer_threshold
from allnet_edge.search.foretelling import Ahead, foretell
from allnet_edge.search.selection import Selection
from allnet_edge.spec.gate import GateSpec

SPEC = GateSpec()


def probabilities(logits: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def network(n: int, seed: int, positives: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and logits of a network that is right about nine cells of ten."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < positives
    return labels, rng.normal(np.where(labels, 3.0, -3.0), 2.2)


def noisy(logits: np.ndarray, spread: float, seed: int = 9) -> Scores:
    noise = np.random.default_rng(seed).normal(0, spread, logits.size)
    return Scores(probabilities(logits + noise), 0.5)


def told(n: int, spread: float, ahead: Ahead, seed: int = 3):
    labels, logits = network(n, seed)
    before = Scores(probabilities(logits), 0.5)
    return foretell(labels, before, noisy(logits, spread), ahead, SPEC)


def test_what_is_foretold_is_what_happens_on_many_cells():
    labels, logits = network(200_000, 5)
    before, after = Scores(probabilities(logits), 0.5), noisy(logits, 0.5, 1)
    lost = labels & before.decisions & ~after.decisions
    gained = labels & ~before.decisions & after.decisions
    positives = int(labels.sum())
    on_many, _ = foretell(labels, before, after, Ahead(positives, 1), SPEC)
    assert on_many.losses == pytest.approx(lost.sum(), rel=0.05)
    assert on_many.gains == pytest.approx(gained.sum(), rel=0.05)
    # And from a thousandth of the cells, on average over many draws of them.
    rng = np.random.default_rng(0)
    few = []
    for _ in range(200):
        at = rng.choice(labels.size, 200, replace=False)
        parts = (Scores(one.scores[at], 0.5) for one in (before, after))
        few.append(foretell(labels[at], *parts, Ahead(positives, 1), SPEC)[0].losses)
    assert np.mean(few) == pytest.approx(lost.sum(), rel=0.1)
    counted = positives * np.sqrt(lost.sum() / positives / 160)  # of counting on 160 positives
    assert np.std(few) < 0.7 * counted


def test_no_error_is_no_loss_and_the_gates_own_bound():
    sensitivity, specificity = told(165, 0.0, Ahead(954, 170))
    assert (sensitivity.losses, sensitivity.gains, specificity.losses) == (0, 0, 0)
    assert specificity.lower == pytest.approx(tango(0, 0, 170).lower)
    assert sensitivity.decidable
    assert specificity.decidable  # 1.57 points
    assert not told(165, 0.0, Ahead(348, 57))[1].decidable  # 4.5 points, whatever the form


def test_more_noise_loses_more():
    losses = [told(300, spread, Ahead(1000, 1000))[1].losses for spread in (0.05, 0.2, 0.6)]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1] / 5


def selection(n: int, ahead: Ahead | None) -> tuple[Selection, np.ndarray]:
    labels, logits = network(n, 3)
    cells = Cells(tuple(map(str, range(n))), tuple(f"{i:064d}" for i in range(n)), labels)
    scores = Scores(probabilities(logits), 0.5)
    images = np.zeros((n, 2, 2, 3), np.uint8)
    return Selection(cells, images, scores, scores, SPEC, ahead), logits


def lucky(whole: Selection, logits: np.ndarray, spread: float) -> Scores:
    """Answers with noise that no count on these cells holds against them."""
    counted = replace(whole, ahead=None)
    tries = (noisy(logits, spread, seed).scores for seed in range(400))
    return next(one for one in tries if counted.judge(one).acceptable)


def test_a_form_that_was_lucky_on_few_cells_is_found_out():
    whole, logits = selection(165, Ahead(954, 170))
    answers = lucky(whole, logits, 0.5)
    judged = whole.judge(answers)
    assert not judged.acceptable
    assert "foretold for the gate's 170 cells" in judged.why
    assert [one.metric for one in judged.foretold] == ["sensitivity", "specificity"]
    assert whole.judge(noisy(logits, 0.002).scores).acceptable


def test_where_no_form_could_pass_half_a_margin_may_be_lost():
    """57 healthy cells decide nothing, so the expected difference stands for the bound."""
    whole, logits = selection(165, Ahead(348, 57))
    answers = noisy(logits, 0.02).scores
    at = transfer_threshold(whole.base.scores, 0.5, answers)
    specificity = foretell(
        whole.cells.labels, whole.base, Scores(answers, at), Ahead(348, 57), SPEC
    )[1]
    assert specificity.lower < -SPEC.specificity
    assert specificity.delta > -SPEC.specificity / 2
    assert whole.judge(answers).acceptable


def test_without_the_gates_size_nothing_is_foretold():
    whole, logits = selection(165, None)
    assert whole.judge(noisy(logits, 0.5).scores).foretold == ()
