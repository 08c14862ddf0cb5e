"""The gate: passes only what is proven, fails only what is proven, and says when neither is."""

import json

import numpy as np
import pytest

from allnet_edge.errors import DataError, SplitError
from allnet_edge.measure.gate import (
    CandidateVerdict,
    Cells,
    Check,
    GateCandidate,
    GateReport,
    Scores,
    judge,
    require_unseen,
)
from allnet_edge.measure.gate_report import advice, shortfalls
from allnet_edge.measure.intervals import tango
from allnet_edge.spec.gate import GateSpec, Verdict

SPEC = GateSpec()


def _cells(positives: int, negatives: int, patients: int | None = None) -> Cells:
    """Positive cells first; ``patients`` of each class, which take turns."""
    n = positives + negatives
    labels = np.arange(n) < positives
    names = None
    if patients is not None:
        names = tuple(
            f"{'all' if label else 'hem'}{k % patients}" for k, label in enumerate(labels)
        )
    return Cells(
        tuple(f"c{k}" for k in range(n)), tuple(f"{k:064x}" for k in range(n)), labels, names
    )


def _scores(cells: Cells, missed: int = 0, alarms: int = 0, wrong_from: int = 0) -> Scores:
    """Right but in ``missed`` positive and ``alarms`` negative cells from some place on.

    Scores within a decision fall in the order of the cells, so that they are not all alike.
    """
    called = cells.labels.copy()
    called[wrong_from : wrong_from + missed] = False
    called[cells.positives + wrong_from : cells.positives + wrong_from + alarms] = True
    shade = np.linspace(0.1, 0, len(cells))
    return Scores(np.where(called, 0.8, 0.2) + shade, 0.5)


def _check(verdict: CandidateVerdict, metric: str) -> Check:
    return next(check for check in verdict.checks if check.metric == metric)


@pytest.mark.parametrize("patients", [None, 20], ids=["patients unknown", "20 patients a class"])
def test_an_equal_network_passes_on_enough_cells(patients: int | None) -> None:
    cells = _cells(400, 300, patients)
    float_scores = _scores(cells, missed=12, alarms=20)
    got = judge(cells, float_scores, float_scores, SPEC)
    assert got.verdict == "pass"
    assert [check.metric for check in got.checks] == [
        "accuracy",
        "sensitivity",
        "specificity",
        "auc",
    ]
    assert all(check.delta == 0 and check.needed is None for check in got.checks)
    assert (got.flips.positive_to_negative, got.flips.negative_to_positive) == (0, 0)


@pytest.mark.parametrize("patients", [None, 1, 2, 3])
def test_three_cells_without_a_flip_prove_nothing(patients: int | None) -> None:
    cells = _cells(3, 3, patients)
    got = judge(cells, _scores(cells), _scores(cells), SPEC)
    assert got.verdict == "inconclusive"
    sensitivity = _check(got, "sensitivity")
    assert sensitivity.lower is not None
    assert sensitivity.lower < -0.4


def test_without_a_flip_133_cells_a_class_decide_and_132_say_so() -> None:
    """z^2 (1 - margin) / margin = 132.6 for 95 % and a margin of 0.02."""
    enough, short = _cells(133, 133), _cells(132, 133)
    assert judge(enough, _scores(enough), _scores(enough), SPEC).verdict == "pass"
    got = judge(short, _scores(short), _scores(short), SPEC)
    assert got.verdict == "inconclusive"
    assert (_check(got, "sensitivity").needed, _check(got, "sensitivity").n) == (133, 132)
    assert _check(got, "specificity").verdict == "pass"


@pytest.mark.parametrize("patients", [None, 30])
def test_lost_specificity_fails_although_accuracy_and_sensitivity_hold(
    patients: int | None,
) -> None:
    """What a gate on accuracy alone would wave through: few healthy cells, many of them lost."""
    cells = _cells(4000, 200, patients)
    got = judge(cells, _scores(cells), _scores(cells, alarms=30), SPEC)
    verdicts = {check.metric: check.verdict for check in got.checks}
    assert verdicts["accuracy"] == "pass"
    assert verdicts["sensitivity"] == "pass"
    assert verdicts["specificity"] == "fail"
    assert got.verdict == "fail"
    assert got.flips.negative_to_positive == 30
    assert _check(got, "specificity").delta == pytest.approx(-0.15)


def test_losses_hidden_behind_gains_still_widen_the_bounds() -> None:
    """Sensitivity equal to the last digit, but 40 cells flipped each way."""
    cells = _cells(500, 500)
    quiet = judge(cells, _scores(cells, missed=40), _scores(cells, missed=40), SPEC)
    noisy = judge(cells, _scores(cells, missed=40), _scores(cells, missed=40, wrong_from=40), SPEC)
    assert _check(noisy, "sensitivity").delta == 0
    assert _check(quiet, "sensitivity").verdict == "pass"
    assert _check(noisy, "sensitivity").verdict == "inconclusive"


def test_one_patient_losing_all_cells_is_less_certain_than_losses_spread_over_patients() -> None:
    spread = _cells(600, 200, 20)
    one = Cells(
        spread.ids,
        spread.sha256s,
        spread.labels,
        tuple(f"{'all' if k < 600 else 'hem'}{(k % 600) // 30}" for k in range(800)),
    )
    before, after = _scores(spread), _scores(spread, missed=9)
    bounds = [_check(judge(c, before, after, SPEC), "sensitivity").lower for c in (spread, one)]
    assert bounds[0] is not None
    assert bounds[1] is not None
    assert bounds[1] < bounds[0] - 0.005


def test_a_float_network_that_has_nothing_to_lose_is_named() -> None:
    cells = _cells(900, 170)
    for missed, alarms, named in ((15, 165, True), (0, 170, True), (80, 70, False)):
        scores = _scores(cells, missed=missed, alarms=alarms)
        got = judge(cells, scores, scores, SPEC)
        for metric in ("sensitivity", "specificity"):
            assert ("better than chance" in (_check(got, metric).note or "")) is named
    few = _cells(400, 170, 4)
    scores = _scores(few, missed=10, alarms=165)
    note = _check(judge(few, scores, scores, SPEC), "specificity").note
    assert note is not None
    assert "only 4 patients" in note
    assert "= 1.00" in note


def test_few_patients_are_named_and_one_patient_never_decides() -> None:
    few, one = _cells(5000, 5000, 4), _cells(5000, 5000, 1)
    got = _check(judge(few, _scores(few), _scores(few), SPEC), "sensitivity")
    assert got.note is not None
    assert "only 4 patients" in got.note
    alone = _check(judge(one, _scores(one), _scores(one), SPEC), "sensitivity")
    assert (alone.verdict, alone.needed, alone.lower, alone.upper) == ("inconclusive", None, -1, 1)


@pytest.mark.parametrize("patients", [None, 12], ids=["patients unknown", "12 patients a class"])
def test_the_number_needed_decides_and_one_cell_less_does_not(patients: int | None) -> None:
    cells = _cells(200, 400, patients)
    check = _check(judge(cells, _scores(cells), _scores(cells, missed=2), SPEC), "sensitivity")
    assert check.verdict == "inconclusive"
    assert check.needed is not None
    assert 200 < check.needed < 3000
    if patients is None:  # the same rates on so many cells: 1 % lost
        assert tango(0, 0.01 * check.needed, check.needed).lower >= -0.02
        assert tango(0, 0.01 * (check.needed - 1), check.needed - 1).lower < -0.02


def test_a_drop_on_the_margin_itself_is_never_decided() -> None:
    cells = _cells(100, 400)
    check = _check(judge(cells, _scores(cells), _scores(cells, missed=2), SPEC), "sensitivity")
    assert (check.delta, check.verdict, check.needed) == (-0.02, "inconclusive", None)


def test_accuracy_is_a_ratio_of_point_estimates() -> None:
    cells = _cells(100, 100)
    before = _scores(cells)
    at, below = _scores(cells, missed=1, alarms=1), _scores(cells, missed=2, alarms=1)
    check = _check(judge(cells, before, at, SPEC), "accuracy")
    assert (check.verdict, check.margin) == ("pass", pytest.approx(0.01))
    assert _check(judge(cells, before, below, SPEC), "accuracy").verdict == "fail"
    half = _scores(cells, missed=50, alarms=50)  # 50 % right: the allowed drop halves with it
    assert _check(judge(cells, half, half, SPEC), "accuracy").margin == pytest.approx(0.005)


def test_auc_fails_by_its_point_estimate() -> None:
    cells = _cells(100, 100)
    before = _scores(cells)
    worse = before.scores.copy()
    worse[99], worse[100] = 0.0, 1.0  # one positive cell last, one negative cell first
    check = _check(judge(cells, before, Scores(worse, 0.5), SPEC), "auc")
    assert check.delta == pytest.approx(-0.0199)
    assert check.verdict == "fail"
    assert check.lower is not None
    assert check.upper is not None
    assert check.lower < check.delta < check.upper
    lenient = GateSpec(auc=0.02)
    assert _check(judge(cells, before, Scores(worse, 0.5), lenient), "auc").verdict == "pass"


@pytest.mark.parametrize(
    ("spoil", "threshold", "reason"),
    [
        (lambda s: np.where(np.arange(s.size) == 3, np.nan, s), 0.5, "1 of 700 outputs are NaN"),
        (lambda s: s + np.inf, 0.5, "700 of 700 outputs are NaN or infinite"),
        (lambda s: np.full_like(s, 0.25), 0.5, "the same for every cell (0.25)"),
        (lambda s: s * 40 - 10, 10, "no probabilities: they lie in -2..26"),
        (lambda s: s, np.nan, "no decision threshold"),
    ],
    ids=["one NaN", "infinite", "constant", "out of range", "no threshold"],
)
def test_broken_outputs_fail_with_the_reason(spoil, threshold: float, reason: str) -> None:
    cells = _cells(400, 300, 10)
    before = _scores(cells)
    got = judge(cells, before, Scores(spoil(before.scores), threshold), SPEC)
    assert got.verdict == "fail"
    assert got.reason is not None
    assert reason in got.reason
    json.dumps(got.model_dump(mode="json"), allow_nan=False)


def test_what_could_not_be_computed_is_null_and_never_a_number() -> None:
    cells = _cells(20, 20)
    before = _scores(cells, missed=2)
    got = judge(cells, before, Scores(np.full(40, np.nan), 0.5), SPEC)
    assert got.flips.positive_to_negative is None
    assert (got.auc.edge, got.threshold.edge) == (None, 0.5)
    assert _check(got, "sensitivity").float == pytest.approx(0.9)
    assert all(
        (check.edge, check.delta, check.lower, check.upper, check.verdict)
        == (None,) * 4 + ("fail",)
        for check in got.checks
    )


def test_float16_rounding_beyond_one_is_no_failure() -> None:
    cells = _cells(400, 300)
    before = _scores(cells)
    after = before.scores.astype(np.float32)
    after[0] = 1.0005
    assert judge(cells, before, Scores(after, 0.5), SPEC).verdict == "pass"


def test_a_broken_float_network_is_no_candidates_fault() -> None:
    cells = _cells(2, 2)
    with pytest.raises(DataError, match="float scores are NaN"):
        judge(cells, Scores(np.full(4, np.nan), 0.5), _scores(cells), SPEC)
    with pytest.raises(DataError, match="3 edge scores for 4 gate cells"):
        judge(cells, _scores(cells), Scores(np.zeros(3), 0.5), SPEC)


def test_the_verdict_does_not_depend_on_chance() -> None:
    cells = _cells(300, 300, 15)
    before, after = _scores(cells, missed=9), _scores(cells, missed=9, wrong_from=4)
    assert judge(cells, before, after, SPEC) == judge(cells, before, after, SPEC)


def test_labels_may_come_as_zeros_and_ones() -> None:
    ones = np.array([1] * 150 + [0] * 150)
    base = _cells(150, 150)
    cells = Cells(base.ids, base.sha256s, ones)
    assert judge(cells, _scores(cells), _scores(cells), SPEC).verdict == "pass"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.ones(4, dtype=bool)}, "both classes"),
        ({"labels": np.ones(0, dtype=bool)}, "length"),
        ({"ids": ("a", "a", "b", "c")}, "1 held-out cells repeat the id"),
        ({"sha256s": ("a", "a", "a", "b")}, "2 held-out cells repeat the file hash"),
        ({"patients": ("p",)}, "length"),
    ],
)
def test_cells_that_prove_nothing_are_refused(change: dict[str, object], message: str) -> None:
    given = {
        "ids": tuple("abcd"),
        "sha256s": tuple("efgh"),
        "labels": np.array([True, True, False, False]),
        "patients": None,
    }
    with pytest.raises(DataError, match=message):
        Cells(**(given | change))


def test_cells_that_something_was_fitted_on_are_refused() -> None:
    cells = _cells(2, 2, 2)
    require_unseen(cells, used_for="calibration", sha256s={"f" * 64}, patients={"all9"})
    with pytest.raises(SplitError, match="1 of 4 gate cells were used for calibration") as caught:
        require_unseen(cells, used_for="calibration", sha256s={cells.sha256s[2]})
    assert caught.value.where == "c2"
    with pytest.raises(SplitError, match=r"1 patients .* training \(first: all1\)"):
        require_unseen(cells, used_for="training", sha256s=set(), patients={"all1", "x"})


def _candidate(cells: Cells, name: str, **wrong: int) -> GateCandidate:
    verdict = judge(cells, _scores(cells), _scores(cells, **wrong), SPEC)
    return GateCandidate.of(verdict, name, engine="onnx", precision=name)


@pytest.mark.parametrize(
    ("wrong", "verdict"),
    [
        ([{"missed": 60}, {}], "pass"),
        ([{"missed": 60}, {"missed": 3}], "inconclusive"),
        ([{"missed": 60}, {"alarms": 50}], "fail"),
        ([], "fail"),
    ],
    ids=["one passes", "one is undecided", "all fail", "none at all"],
)
def test_one_passing_candidate_is_enough(wrong: list[dict[str, int]], verdict: Verdict) -> None:
    cells = _cells(300, 300)
    candidates = [_candidate(cells, f"c{k}", **w) for k, w in enumerate(wrong)]
    report = GateReport.of(cells, SPEC, candidates, split="block", leaking=False)
    assert report.verdict == verdict


def test_the_document_has_the_contracts_keys_and_survives_its_own_json() -> None:
    cells = _cells(150, 160, 12)
    report = GateReport.of(
        cells, SPEC, [_candidate(cells, "int8", missed=1)], split="random", leaking=True
    )
    text = json.dumps(report.model_dump(mode="json"), allow_nan=False)
    document = json.loads(text)
    assert {"verdict", "n", "patients", "method", "candidates"} <= document.keys()
    candidate = document["candidates"][0]
    assert {"id", "engine", "precision", "verdict", "checks", "flips", "auc"} <= candidate.keys()
    assert {"metric", "float", "edge", "delta", "lower", "upper", "margin", "verdict"} <= (
        candidate["checks"][0].keys()
    )
    assert candidate["flips"] == {"positive_to_negative": 1, "negative_to_positive": 0}
    assert candidate["auc"].keys() == {"float", "edge"}
    assert (document["n"], document["patients"], document["leaking"]) == (310, 24, True)
    assert "bootstrap" in document["method"]
    assert GateReport.model_validate_json(text) == report


def test_a_failed_gate_names_every_candidate_with_its_figures() -> None:
    cells = _cells(300, 300)
    nan = judge(cells, _scores(cells), Scores(np.full(600, np.nan), 0.5), SPEC)
    candidates = [
        _candidate(cells, "int8", alarms=60),
        GateCandidate.of(nan, "fp16", engine="onnx", precision="fp16"),
    ]
    report = GateReport.of(cells, SPEC, candidates, split="block", leaking=False)
    int8, fp16 = shortfalls(report)
    assert int8.startswith("int8: accuracy 1.0000 -> 0.9000")
    assert "specificity 1.0000 -> 0.8000" in int8
    assert "sensitivity" not in int8
    assert fp16.startswith("fp16: 600 of 600 outputs are NaN")
    assert advice(report) == "try a higher precision or prune less"


def test_an_undecided_gate_says_how_many_cells_would_decide() -> None:
    cells = _cells(100, 300)
    report = GateReport.of(cells, SPEC, [_candidate(cells, "int8")], split="block", leaking=False)
    assert advice(report) == (
        "hold out more cells: about 133 cells for sensitivity (now 100) would decide"
    )
    assert "133 cells would decide" in shortfalls(report)[0]
    lone = _cells(300, 300, 1)
    report = GateReport.of(lone, SPEC, [_candidate(lone, "int8")], split="patient", leaking=False)
    assert "more patients" in (advice(report) or "")


def test_a_gate_that_passed_has_no_advice() -> None:
    passed = _cells(300, 300)
    report = GateReport.of(passed, SPEC, [_candidate(passed, "a")], split="block", leaking=False)
    assert advice(report) is None
    assert shortfalls(report) == ()


@pytest.mark.parametrize(
    ("gains", "losses", "bounds", "verdict", "needed"),
    [
        (2, 9, (-0.0197, -0.0026), "pass", None),
        (2, 14, (-0.0285, -0.0087), "inconclusive", 9495),
        (1, 30, (-0.0567, -0.0304), "fail", None),
    ],
)
def test_the_worked_example_of_the_documentation(
    gains: int, losses: int, bounds: tuple[float, float], verdict: Verdict, needed: int | None
) -> None:
    """docs/gate.md: 692 healthy cells, as in ALLNet's test set."""
    cells = _cells(1447, 692)
    before = _scores(cells, alarms=gains)
    called = before.scores.copy()
    called[1447 : 1447 + gains] = 0.2
    called[1447 + gains : 1447 + gains + losses] = 0.8
    check = _check(judge(cells, before, Scores(called, 0.5), SPEC), "specificity")
    assert (check.lower, check.upper) == pytest.approx(bounds, abs=5e-5)
    assert (check.verdict, check.needed) == (verdict, needed)
