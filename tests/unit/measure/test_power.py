"""How often the gate passes a candidate that lost nothing: against brute force and simulation."""

import math

import numpy as np
import pytest

from allnet_edge.measure.intervals import tango
from allnet_edge.measure.paired import PairedDifference, by_bounds
from allnet_edge.measure.power import chance_of_pass, fewest_cells
from allnet_edge.spec.gate import GateSpec


@pytest.mark.parametrize(("margin", "confidence"), [(0.02, 0.95), (0.01, 0.95), (0.05, 0.975)])
def test_the_fewest_cells_pass_without_a_change_and_one_less_does_not(
    margin: float, confidence: float
) -> None:
    n = fewest_cells(margin, confidence)
    assert n is not None
    assert by_bounds(tango(0, 0, n, confidence), margin) == "pass"
    assert by_bounds(tango(0, 0, n - 1, confidence), margin) == "inconclusive"


@pytest.mark.parametrize("patients", [2, 5, 12, 40])
def test_with_known_patients_it_is_the_gates_own_bound_that_decides(patients: int) -> None:
    """The same number of cells of each patient, and no decision that changes."""
    spec = GateSpec()
    n = fewest_cells(spec.specificity, spec.confidence, patients)
    assert n is not None
    for cells, verdict in ((n, "pass"), (n - 1, "inconclusive")):
        names = np.array([f"p{at % patients}" for at in range(cells)])
        right = np.ones(cells, np.bool_)
        bounds = PairedDifference.of(right, right, names, spec).bounds()
        assert by_bounds(bounds, spec.specificity) == verdict
        chance = chance_of_pass(cells, 0.0, spec.specificity, spec.confidence, patients)
        assert chance == (verdict == "pass")


def test_one_patient_shows_nothing_about_others() -> None:
    assert fewest_cells(0.02, 0.95, 1) is None
    assert chance_of_pass(5000, 0.0, 0.02, 0.95, 1) == 0


def test_few_patients_decide_less_than_unknown_ones_seem_to() -> None:
    by_patients = [chance_of_pass(400, 0.02, 0.02, 0.95, m) for m in (3, 12, 40, 1000)]
    assert by_patients == sorted(by_patients)
    assert by_patients[0] < by_patients[-1] <= chance_of_pass(400, 0.02, 0.02) + 1e-9


def test_two_points_at_95_percent_take_133_cells() -> None:
    assert fewest_cells(0.02) == 133


def test_no_number_of_unchanged_cells_shows_a_margin_of_nothing() -> None:
    assert fewest_cells(0) is None
    assert chance_of_pass(1000, 0.0, 0.0) == 0
    assert 0.01 < chance_of_pass(1000, 0.05, 0.0) < 0.06  # a gain by luck: the test's own error


@pytest.mark.parametrize(("cells", "passes"), [(132, 0.0), (133, 1.0), (170, 1.0)])
def test_nothing_changed(cells: int, passes: float) -> None:
    assert chance_of_pass(cells, 0.0, 0.02) == passes


@pytest.mark.parametrize("cells", [1, 40, 75])
@pytest.mark.parametrize("changed", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_the_sum_over_every_outcome(cells: int, changed: float, margin: float) -> None:
    """Every pair of gains and losses judged on its own, with its multinomial probability."""
    total = 0.0
    for gains in range(cells + 1):
        for losses in range(cells + 1 - gains):
            if by_bounds(tango(gains, losses, cells), margin) == "pass":
                same = cells - gains - losses
                ways = math.comb(cells, same) * math.comb(gains + losses, gains)
                total += ways * (changed / 2) ** (gains + losses) * (1 - changed) ** same
    assert chance_of_pass(cells, changed, margin) == pytest.approx(total, abs=1e-7)


def test_simulated_networks_pass_as_often_as_foretold() -> None:
    rng = np.random.default_rng(5)
    cells, changed, spec, runs = 170, 0.05, GateSpec(), 1500
    passed = 0
    for _ in range(runs):
        first = rng.random(cells) < 0.8
        # Of all cells ``changed`` differ, and both directions are equally likely.
        second = first.copy()
        differs = rng.random(cells) < changed
        gained = rng.random(cells) < 0.5
        first[differs], second[differs] = ~gained[differs], gained[differs]
        bounds = PairedDifference.of(first, second, None, spec).bounds()
        passed += by_bounds(bounds, spec.specificity) == "pass"
    foretold = chance_of_pass(cells, changed, spec.specificity, spec.confidence)
    assert foretold == pytest.approx(0.289, abs=0.001)
    assert passed / runs == pytest.approx(foretold, abs=4 * math.sqrt(0.25 / runs))


def test_more_cells_decide_more_and_more_changes_less() -> None:
    by_cells = [chance_of_pass(n, 0.05, 0.02) for n in (170, 400, 1000, 4000)]
    assert by_cells == sorted(by_cells)
    by_changes = [chance_of_pass(400, share, 0.02) for share in (0.1, 0.05, 0.02, 0.01)]
    assert by_changes == sorted(by_changes)
