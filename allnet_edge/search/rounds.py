"""Latency of many model files, in rounds that go through all of them in turn.

Files measured one after the other are measured in different minutes of a machine that is warmer,
or busier, in some of them. In a round every file gets its turn, so that what disturbs the machine
disturbs all alike, and what is compared are medians over the same rounds. The order is reversed in
every other round: what follows a heavy network may find warm or slowed processors.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from allnet_edge.errors import BenchmarkInvalid
from allnet_edge.measure.latency import Clock, Mode
from allnet_edge.spec.base import Frozen

Query = Callable[[], object]
"""One image, from pixels to a probability."""

Open = Callable[[], AbstractContextManager[Query]]
"""Loads a model; its query goes through real images in turn."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """How long it is measured.

    Attributes:
        rounds: How often every file has its turn.
        warm_queries, warm_seconds: A turn begins with at least so many, and so long, unmeasured.
        queries, seconds: And measures at least so many, and so long.
    """

    rounds: int
    warm_queries: int
    warm_seconds: float
    queries: int
    seconds: float


ROUNDS: Mapping[Mode, Rounds] = MappingProxyType(
    {
        "quick": Rounds(5, 3, 0.1, 10, 0.3),
        "standard": Rounds(9, 10, 0.5, 30, 2.0),
        "full": Rounds(15, 10, 1.0, 60, 5.0),
    }
)


class Turn(Frozen):
    """One file in one round; milliseconds.

    Attributes:
        p50: Median of its queries.
        n: Measured queries.
    """

    p50: float
    n: int


class Latency(Frozen):
    """One file over all rounds; milliseconds.

    Attributes:
        p50: Median of the medians of the rounds.
        low, high: The lowest and the highest of them: how far the machine's noise reaches.
        rounds: How many.
        n: Measured queries of all rounds.
    """

    p50: float
    low: float
    high: float
    rounds: int
    n: int

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> "Latency":
        """Put the rounds together.

        Raises:
            BenchmarkInvalid: There is none.
        """
        if not turns:
            raise BenchmarkInvalid("no round was measured")
        medians = [turn.p50 for turn in turns]
        return cls(
            p50=float(np.median(medians)),
            low=min(medians),
            high=max(medians),
            rounds=len(turns),
            n=sum(turn.n for turn in turns),
        )


def measure_round(
    files: Mapping[str, Open],
    number: int,
    plan: Rounds,
    *,
    clock: Clock = time.perf_counter_ns,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Turn]:
    """Give every file one turn.

    Args:
        files: By a name; each is opened, warmed up, measured and closed before the next.
        number: Of the round; odd ones go backwards.
        clock: Nanoseconds.
        told: Called with the name of a file that had its turn.

    Returns:
        The turns, in the order of ``files``.
    """
    order = list(files)[:: -1 if number % 2 else 1]
    found = {}
    for name in order:
        with files[name]() as query:
            found[name] = _turn(query, plan, clock)
        told(name)
    return {name: found[name] for name in files}


def _turn(query: Query, plan: Rounds, clock: Clock) -> Turn:
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection in the middle of a query is Python's time, not the network's
    try:
        _repeat(query, plan.warm_queries, plan.warm_seconds, clock)
        samples = _repeat(query, plan.queries, plan.seconds, clock)
    finally:
        if collecting:
            gc.enable()
    return Turn(p50=float(np.median(samples)) / 1e6, n=len(samples))


def _repeat(query: Query, queries: int, seconds: float, clock: Clock) -> list[int]:
    """Nanoseconds of each query."""
    samples: list[int] = []
    start = clock()
    while len(samples) < queries or clock() - start < seconds * 1e9:
        begin = clock()
        query()
        samples.append(clock() - begin)
    return samples
