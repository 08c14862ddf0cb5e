"""The protocol of a latency run, on a clock that the test moves."""

import gc

import numpy as np
import pytest
from scipy import stats

from allnet_edge.errors import BenchmarkInvalid
from allnet_edge.measure.bench_report import BenchReport, BenchRow, NotMeasured, require_valid
from allnet_edge.measure.latency import PLANS, LatencyRun, measure_single_stream
from allnet_edge.measure.percentiles import MINIMUM_QUERIES, LatencySummary
from allnet_edge.measure.system import describe

MS = 1_000_000


class Simulated:
    """A network, its clock and the machine around it: a query takes what ``cost`` says, in ms."""

    def __init__(self, *cost: float, then: float, load: float | None = 0.0) -> None:
        self.now = 0
        self.queries = 0
        self.collecting: list[bool] = []
        self._cost, self._then, self._load = cost, then, load

    def infer(self) -> None:
        cost = self._cost[self.queries] if self.queries < len(self._cost) else self._then
        self.queries += 1
        self.now += round(cost * MS)
        self.collecting.append(gc.isenabled())

    def clock(self) -> int:
        return self.now

    def start(self) -> None:
        self.started_at = self.queries

    def share(self) -> float | None:
        return self._load

    def measure(self, mode: str = "quick", **options: object) -> LatencyRun:
        return measure_single_stream(self.infer, mode, clock=self.clock, load=self, **options)


def test_the_first_query_is_apart_and_the_warm_up_is_not_in_the_samples() -> None:
    machine = Simulated(900, *[40] * 8, then=20)
    run = machine.measure()
    assert run.first_ms == 900
    assert (run.samples_ms == 20).all()
    assert run.settled
    assert run.warm_queries >= PLANS["quick"].warm_queries
    assert machine.started_at == 1 + run.warm_queries  # load is metered during the run only


def test_quick_takes_its_least_queries_and_its_least_time() -> None:
    slow, fast = Simulated(then=100).measure(), Simulated(then=1).measure()
    assert slow.n == 64  # 6.4 s: the queries decide
    assert fast.n == 3000  # 3 s: the time decides


def test_quick_ends_at_its_limit_and_says_what_is_missing() -> None:
    run = Simulated(then=1000).measure()
    assert run.n == 20
    assert run.summary.p90 is None
    assert run.why_invalid == ()
    assert any("20 queries in 20 s; 64 are needed" in line for line in run.remarks)


@pytest.mark.parametrize(("mode", "seconds"), [("standard", 60), ("full", 600)])
def test_longer_modes_last_as_long_as_they_promise(mode: str, seconds: int) -> None:
    run = Simulated(then=50).measure(mode)
    assert run.samples_ms.sum() / 1000 == pytest.approx(max(seconds, 1024 * 0.05))
    assert run.n >= 1024
    assert run.warm_queries * 0.05 >= 10
    assert (run.why_invalid, run.remarks) == ((), ())


def test_the_warm_up_waits_until_times_settle() -> None:
    falling = [100 * 0.9**k for k in range(40)]
    run = Simulated(*falling, then=1.5).measure()
    assert run.settled
    assert run.warm_queries > 40
    assert (run.samples_ms == 1.5).all()


def test_times_that_never_settle_are_measured_and_marked() -> None:
    rising = Simulated(*[10 * 1.01**k for k in range(400)], then=600)
    run = rising.measure()
    assert not run.settled
    assert any("not settled" in line for line in run.remarks)
    strict = LatencyRun("standard", np.full(2000, 1.0), 1.0, 50, settled=False, other_load=0.0)
    assert strict.why_invalid == ("times had not settled after 50 queries of warm-up",)


def test_outliers_stay() -> None:
    run = Simulated(*[10] * 150, 500, then=10).measure()
    assert run.summary.max == 500
    assert run.summary.p50 == 10


def test_collection_is_off_while_measuring_and_back_after_a_failure() -> None:
    assert gc.isenabled()
    machine = Simulated(then=100)
    machine.measure()
    assert not any(machine.collecting)
    assert gc.isenabled()

    def failing() -> None:
        raise RuntimeError("device lost")

    with pytest.raises(RuntimeError, match="device lost"):
        measure_single_stream(failing, clock=machine.clock, load=machine)
    assert gc.isenabled()


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        Simulated(then=100).measure()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_progress_is_told_in_seconds_and_seldom() -> None:
    told: list[tuple[str, int, int]] = []
    Simulated(then=1).measure(progress=lambda *state: told.append(state))
    assert {what for what, _, _ in told} == {"warm-up", "measuring"}
    assert len(told) < 40
    assert all(0 <= done <= total for _, done, total in told)


@pytest.mark.parametrize("share", MINIMUM_QUERIES)
def test_minimum_queries_follow_from_the_early_stopping_rule(share: float) -> None:
    """The smallest n at which one query over the bound is still evidence at 99 %."""
    n = MINIMUM_QUERIES[share]
    assert stats.binom.cdf(1, n, 1 - share) <= 0.01 < stats.binom.cdf(1, n - 1, 1 - share)


@pytest.mark.parametrize(
    ("n", "known"),
    [(1, ()), (63, ()), (64, ("p90",)), (130, ("p90", "p95")), (662, ("p90", "p95", "p99"))],
)
def test_percentiles_that_n_cannot_support_are_null(n: int, known: tuple[str, ...]) -> None:
    summary = LatencySummary.of(np.arange(1.0, n + 1))
    assert tuple(k for k in ("p90", "p95", "p99") if getattr(summary, k) is not None) == known
    assert (summary.min, summary.max) == (1, n)


def test_percentiles_are_samples_that_occurred() -> None:
    summary = LatencySummary.of(np.arange(1.0, 1001))
    assert (summary.p50, summary.p90, summary.p95, summary.p99) == (500, 900, 950, 990)
    assert summary.mean == 500.5
    assert summary.cov == pytest.approx(np.std(np.arange(1000), ddof=1) / 500.5)


def test_one_query_has_no_spread_and_none_has_no_summary() -> None:
    assert LatencySummary.of(np.array([3.0])).cov is None
    with pytest.raises(BenchmarkInvalid, match="no query"):
        LatencySummary.of(np.array([]))


def _run(mode: str, spread: float, load: float | None = 0.0) -> LatencyRun:
    samples = 10 * (1 + spread * np.tile([1.0, -1.0], 800))
    return LatencyRun(mode, samples, 12.0, 50, settled=True, other_load=load)  # type: ignore[arg-type]


def test_spread_over_the_limit_is_invalid_in_strict_modes_and_a_remark_in_quick() -> None:
    assert _run("standard", 0.02).why_invalid == ()
    assert _run("standard", 0.04).why_invalid == ("spread (CoV) 4.0%, allowed 2.5%",)
    quick = _run("quick", 0.04)
    assert quick.why_invalid == ()
    assert any("standard mode allows 2.5%" in line for line in quick.remarks)
    wild = LatencyRun("quick", np.array([1.0] * 2000 + [1e5]), 1, 10, settled=True, other_load=0)
    assert "spread" in wild.why_invalid[0]


def test_other_load_is_invalid_in_strict_modes_and_a_remark_in_quick() -> None:
    assert _run("full", 0.0, 0.3).why_invalid == ("other programs used 30% of the processors",)
    assert _run("full", 0.0, None).why_invalid == ()
    assert "other programs used 30% of the processors" in _run("quick", 0.0, 0.3).remarks


def test_quick_is_labelled() -> None:
    assert "not for a headline" in _run("quick", 0.0).remarks[0]


def _row(name: str, run: LatencyRun) -> tuple[BenchRow, list[LatencyRun]]:
    row = BenchRow.of(
        name,
        run,
        engine="litert",
        precision="int8",
        verdict="pass",
        size_mb=1.5,
        threads=2,
        load_ms=30.0,
        end_to_end=run,
        peak_rss_mb=80.0,
    )
    return row, [run]


def test_the_document_has_the_contracts_keys_and_survives_its_own_json() -> None:
    report = BenchReport.of(describe(), [_row("a", _run("quick", 0.0))], mode="quick")
    document = report.model_dump(mode="json")
    assert {"mode", "scenario", "valid", "why_invalid", "device", "rows"} <= document.keys()
    assert {"class", "model"} <= document["device"].keys()
    row = document["rows"][0]
    assert row.keys() >= {
        "id", "engine", "precision", "batch", "threads", "n", "latency_ms", "first_ms", "load_ms",
        "end_to_end_ms", "peak_rss_mb", "size_mb", "verdict",
    }  # fmt: skip
    assert row["latency_ms"].keys() == {"min", "mean", "p50", "p90", "p95", "p99", "max", "cov"}
    assert row["end_to_end_ms"].keys() == {"p50", "p99", "n"}
    assert BenchReport.model_validate_json(report.model_dump_json()) == report


def test_one_bad_row_makes_the_document_invalid_and_is_named() -> None:
    good, bad = _run("standard", 0.0), _run("standard", 0.1)
    report = BenchReport.of(describe(), [_row("a", good), _row("b", bad)], mode="standard")
    assert not report.valid
    assert report.why_invalid == ("b: spread (CoV) 10.0%, allowed 2.5%",)
    with pytest.raises(BenchmarkInvalid, match="b: spread"):
        require_valid(report)
    require_valid(BenchReport.of(describe(), [_row("a", good)], mode="standard"))


def test_a_failure_is_never_a_row() -> None:
    failed = NotMeasured(id="x", engine="tensorrt", precision="fp16", why="no GPU")
    report = BenchReport.of(describe(), [], mode="quick", not_measured=[failed])
    assert (report.valid, report.rows) == (False, ())
    assert report.not_measured == (failed,)
    throttled = BenchReport.of(
        describe(), [_row("a", _run("quick", 0.0))], mode="quick", reasons=["the device throttled"]
    )
    assert throttled.why_invalid == ("the device throttled",)
