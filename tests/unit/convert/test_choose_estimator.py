"""The choice of an estimator: by the logits' signal-to-noise ratio, with a reason for every row."""

import pytest

from allnet_edge.convert.choose_estimator import FIRST_ROUND, Row, Trial, choose
from allnet_edge.convert.estimators import ESTIMATORS, Estimator
from allnet_edge.convert.range_stability import Stability
from allnet_edge.convert.ranges import Range
from allnet_edge.measure.agreement import Agreement

STEADY, SHAKY = Stability(0.05, 0.0, 0.2, "a"), Stability(0.3, 0.1, 0.7, "a")
RANGES = {e: {"a": Range(0.0, 1.0 + n)} for n, e in enumerate(ESTIMATORS)}


class Bench:
    """Gives every trial a ratio, and remembers who was tried on how many cells."""

    def __init__(self, decibels: dict[Trial, float | None]) -> None:
        self.decibels, self.calls = decibels, []

    def __call__(self, trial: Trial, cells: int) -> Agreement:
        self.calls.append((trial, cells))
        return Agreement(cells, 0.1, 0.01, self.decibels.get(trial, 10.0), 1)


def run(bench: Bench, **options: object) -> tuple[Trial, tuple[Row, ...]]:
    chosen = {
        "ranges": RANGES,
        "stabilities": dict.fromkeys(ESTIMATORS, STEADY),
        "corrections": (False, True),
        "cells": 256,
    } | options
    return choose(**chosen, score=bench)


def plain(estimator: Estimator) -> Trial:
    return Trial(estimator, bias_correction=False)


def corrected(estimator: Estimator) -> Trial:
    return Trial(estimator, bias_correction=True)


def test_the_highest_ratio_wins():
    bench = Bench({plain("mse"): 30.0, plain("min-max"): 20.0})
    best, rows = run(bench)
    assert best == plain("mse")
    (why,) = [row.why for row in rows if row.why.startswith("chosen")]
    assert "256 validation cells" in why


def test_corrected_biases_win_where_they_are_nearer():
    bench = Bench({plain("mse"): 30.0, corrected("mse"): 31.0, plain("min-max"): 20.0})
    assert run(bench)[0] == corrected("mse")
    bench = Bench({plain("mse"): 30.0, corrected("mse"): 29.0, plain("min-max"): 20.0})
    assert run(bench)[0] == plain("mse")


def test_all_are_tried_on_few_cells_and_the_best_two_on_all():
    bench = Bench({plain("mse"): 30.0, plain("entropy"): 29.0})
    run(bench)
    assert bench.calls[:6] == [(plain(e), FIRST_ROUND) for e in ESTIMATORS]
    assert bench.calls[6:] == [
        (plain("entropy"), 256), (corrected("entropy"), 256),
        (plain("mse"), 256), (corrected("mse"), 256),
    ]  # fmt: skip


def test_with_few_cells_all_are_tried_on_all():
    bench = Bench({})
    run(bench, cells=9)
    assert {cells for _, cells in bench.calls} == {9}


def test_every_row_has_a_reason_and_the_chosen_one_is_there_once():
    best, rows = run(Bench({plain("mse"): 30.0, plain("entropy"): 29.0}))
    assert {row.trial.estimator for row in rows} == set(ESTIMATORS)
    assert all(row.why for row in rows)
    chosen = [row.trial for row in rows if row.why.startswith("chosen")]
    assert chosen == [best]
    left = [row.why for row in rows if row.trial.estimator == "percentile-99.9"]
    assert left == ["not among the best 2 on 64 cells"]


def test_ranges_that_are_the_same_are_tried_once():
    ranges = RANGES | {"percentile-99.999": RANGES["min-max"]}
    bench = Bench({})
    _, rows = run(bench, ranges=ranges)
    assert plain("percentile-99.999") not in dict(bench.calls)
    (row,) = [row for row in rows if row.trial.estimator == "percentile-99.999"]
    assert row.agreement is None
    assert row.why == "the same ranges as min-max"
    assert "cells" not in row.to_json()


def test_an_estimator_whose_halves_disagree_is_tried_and_not_chosen():
    bench = Bench({plain("min-max"): 50.0, plain("mse"): 30.0})
    shaky = dict.fromkeys(ESTIMATORS, STEADY) | {"min-max": SHAKY}
    best, rows = run(bench, stabilities=shaky)
    assert best == plain("mse")
    (row,) = [row for row in rows if row.trial.estimator == "min-max"]
    assert row.agreement.logit_snr_db == 50.0
    assert "disagree" in row.why


def test_where_the_halves_disagree_on_all_the_best_is_chosen_and_it_is_said():
    bench = Bench({plain("min-max"): 50.0})
    best, rows = run(bench, stabilities=dict.fromkeys(ESTIMATORS, SHAKY))
    assert best == plain("min-max")
    (why,) = [row.why for row in rows if row.why.startswith("chosen")]
    assert "disagree" in why


def test_no_difference_at_all_is_the_best_of_all():
    bench = Bench({plain("mse"): None, plain("min-max"): 90.0, corrected("mse"): 80.0})
    assert run(bench)[0] == plain("mse")


def test_ties_go_to_the_simplest():
    assert run(Bench({}))[0] == plain("min-max")


@pytest.mark.parametrize(("gain", "wins"), [(0.05, False), (0.2, True)])
def test_a_gain_of_less_than_a_tenth_of_a_decibel_is_none(gain, wins):
    bench = Bench({plain("min-max"): 30.0, corrected("min-max"): 30.0 + gain})
    best, rows = run(bench)
    assert best == Trial("min-max", bias_correction=wins)
    (other,) = [
        row.why for row in rows
        if row.trial == Trial("min-max", bias_correction=not wins) and row.agreement.n == 256
    ]  # fmt: skip
    assert other == ("less than 30.2 dB" if wins else "no more than 0.1 dB above a simpler way")


@pytest.mark.parametrize("correction", [False, True])
def test_what_the_recipe_fixes_is_only_measured(correction):
    bench = Bench({})
    best, rows = run(bench, ranges={"mse": RANGES["mse"]}, corrections=(correction,))
    assert best == Trial("mse", correction)
    assert bench.calls == [(best, 256)]
    assert [row.why for row in rows] == ["the only one that the recipe allows"]
