"""Rounds that go through all files in turn, on a clock of the test."""

from contextlib import contextmanager

import pytest

from allnet_edge.errors import BenchmarkInvalid
from allnet_edge.search.rounds import ROUNDS, Latency, Rounds, Turn, measure_round

PLAN = Rounds(rounds=3, warm_queries=2, warm_seconds=0.0, queries=5, seconds=0.0)


class Bench:
    """Files whose queries take a set time of a clock that only they move."""

    def __init__(self, **costs_ms: float) -> None:
        self.now = 0
        self.events: list[tuple[str, str]] = []
        self.files = {name: self._opener(name, ms) for name, ms in costs_ms.items()}

    def clock(self) -> int:
        return self.now

    def _opener(self, name: str, ms: float):
        @contextmanager
        def opened():
            self.events.append(("open", name))

            def query():
                self.now += int(ms * 1e6)
                self.events.append(("query", name))

            yield query
            self.events.append(("close", name))

        return opened

    def round(self, number: int, plan: Rounds = PLAN) -> dict[str, Turn]:
        return measure_round(self.files, number, plan, clock=self.clock)

    def opened(self) -> list[str]:
        return [name for what, name in self.events if what == "open"]


def test_each_file_has_one_turn_a_round_and_every_other_round_goes_backwards():
    bench = Bench(a=1, b=2, c=3)
    for number in range(2):
        assert list(bench.round(number)) == ["a", "b", "c"]
    assert bench.opened() == ["a", "b", "c", "c", "b", "a"]


def test_a_file_is_closed_before_the_next_is_opened():
    bench = Bench(a=1, b=2)
    bench.round(0)
    assert [event for event in bench.events if event[0] != "query"] == [
        ("open", "a"), ("close", "a"), ("open", "b"), ("close", "b"),
    ]  # fmt: skip


def test_the_warm_up_is_not_measured():
    bench = Bench(a=1.5)
    turn = bench.round(0)["a"]
    assert turn == Turn(p50=1.5, n=PLAN.queries)
    queries = [event for event in bench.events if event[0] == "query"]
    assert len(queries) == PLAN.warm_queries + PLAN.queries


def test_a_turn_lasts_its_seconds_where_queries_are_quick():
    bench = Bench(a=10)
    plan = Rounds(rounds=1, warm_queries=1, warm_seconds=0.05, queries=2, seconds=0.2)
    assert bench.round(0, plan)["a"].n == 20
    assert len([event for event in bench.events if event[0] == "query"]) == 25


def test_the_median_of_rounds_is_not_moved_by_one_disturbed_round():
    turns = [Turn(p50=2.0, n=5), Turn(p50=40.0, n=5), Turn(p50=2.2, n=5)]
    assert Latency.of(turns) == Latency(p50=2.2, low=2.0, high=40.0, rounds=3, n=15)


def test_no_round_is_no_figure():
    with pytest.raises(BenchmarkInvalid, match="no round"):
        Latency.of([])


def test_an_error_of_a_query_is_never_a_number():
    @contextmanager
    def broken():
        yield lambda: 1 / 0

    with pytest.raises(ZeroDivisionError):
        measure_round({"a": broken}, 0, PLAN)


def test_longer_modes_measure_more():
    quick, standard, full = (ROUNDS[mode] for mode in ("quick", "standard", "full"))
    assert quick.rounds < standard.rounds < full.rounds
    assert quick.seconds < standard.seconds < full.seconds
