"""Which candidate goes to the device."""

import numpy as np
import pytest

from allnet_edge.measure.bench_report import BenchReport, BenchRow
from allnet_edge.measure.cells import Cells, Scores
from allnet_edge.measure.gate import judge
from allnet_edge.measure.gate_report import GateCandidate, GateReport
from allnet_edge.measure.latency import LatencyRun
from allnet_edge.measure.system import describe
from allnet_edge.pipeline.choose import choose
from allnet_edge.spec.gate import GateSpec, Verdict

SPEC = GateSpec()
N = 600
CELLS = Cells(
    ids=tuple(str(i) for i in range(N)),
    sha256s=tuple(f"{i:064x}" for i in range(N)),
    labels=np.arange(N) % 2 == 0,
)
GOOD = np.where(CELLS.labels, 0.9, 0.1) + np.linspace(0, 0.05, N)


def scores(verdict: Verdict) -> np.ndarray:
    flipped = {"pass": 0, "inconclusive": 4, "fail": 100}[verdict]
    changed = GOOD.copy()
    changed[1 : 2 * flipped : 2] += 0.8  # healthy cells called leukemic
    return changed


def gate(**verdicts: Verdict) -> GateReport:
    candidates = []
    for name, verdict in verdicts.items():
        judged = judge(CELLS, Scores(GOOD, 0.5), Scores(scores(verdict), 0.5), SPEC)
        assert judged.verdict == verdict
        candidates.append(GateCandidate.of(judged, name, engine="onnx", precision="fp32"))
    return GateReport.of(CELLS, SPEC, candidates, split="patient", leaking=False)


def bench(**medians: float) -> BenchReport:
    rows = []
    for name, median in medians.items():
        run = LatencyRun(
            mode="quick",
            samples_ms=np.full(100, median),
            first_ms=median,
            warm_queries=10,
            settled=True,
            other_load=None,
        )
        row = BenchRow.of(name, run, engine="onnx", precision="fp32", verdict="pass", size_mb=1.0)
        rows.append((row, [run]))
    return BenchReport.of(describe(), rows, mode="quick")


def test_the_fastest_that_passed() -> None:
    choice = choose(gate(a="pass", b="pass", c="fail"), bench(a=5.0, b=2.0, c=1.0))
    assert choice.chosen == "b"
    assert choice.order == ("b", "a")
    assert "slower here than b" in choice.why["a"]
    assert "failed the gate" in choice.why["c"]


def test_a_pass_beats_a_faster_inconclusive_one() -> None:
    choice = choose(gate(a="pass", b="inconclusive"), bench(a=5.0, b=1.0))
    assert choice.chosen == "a"
    assert choice.order == ("a", "b")
    assert "too few cells to decide" in choice.why["b"]


def test_the_best_of_inconclusive_ones_is_chosen_and_says_so() -> None:
    choice = choose(gate(a="inconclusive", b="inconclusive"), bench(a=5.0, b=1.0))
    assert choice.chosen == "b"
    assert "did not fail the gate" in choice.why["b"]


def test_nothing_where_all_failed() -> None:
    choice = choose(gate(a="fail", b="fail"), bench(a=5.0, b=1.0))
    assert choice.chosen is None
    assert choice.order == ()


def test_what_was_not_measured_comes_last() -> None:
    choice = choose(gate(a="pass", b="pass"), bench(b=9.0))
    assert choice.order == ("b", "a")


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_equal_speed_is_decided_by_name(order: tuple[str, str]) -> None:
    verdicts: dict[str, Verdict] = dict.fromkeys(order, "pass")
    assert choose(gate(**verdicts), bench(a=1.0, b=1.0)).chosen == "a"
