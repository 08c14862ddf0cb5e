"""Whether one latency is really larger than another: a ratio of medians with an interval.

What makes two runs of the same program differ is mostly the process (addresses, caches, where the
scheduler puts its threads), less the single query. So processes are the units: they are drawn with
replacement, and within each the queries in blocks, since neighbours resemble each other (Kalibera &
Jones 2013, "Rigorous benchmarking in reasonable time", ISMM). Few processes make a bootstrap too
sure of itself; Welch's interval on the logarithms of their medians is not, so the wider of the two
counts on each side. With a single process on a side nothing is known of what a restart changes, so
that only a difference larger than any restart is believed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.intervals import Interval, student_quantile

Samples = npt.NDArray[np.float64]
Verdict = Literal["faster", "slower", "no difference seen", "cannot be told"]

CONFIDENCE = 0.95
RESAMPLES = 2000
MARGIN = 0.02
"""A smaller difference is none: the rolling median of a settled run still moves by so much."""

MARGIN_OF_ONE_PROCESS = 0.10
"""The same with a single process on a side. OUR READING: more than a restart usually changes; an
interval within one process knows nothing of restarts.
"""

_TAIL = (1 + CONFIDENCE) / 2
_MOST = 4096  # queries of a process that a resample takes; more add nothing to a median
_TOO_WIDE = 0.25  # half of the interval, as a share: it would hide what everybody would notice


@dataclass(frozen=True, slots=True)
class SpeedRatio:
    """The second over the first.

    Attributes:
        ratio: Median of the second over median of the first, each the median over its processes.
        interval: Two-sided 95 %.
        processes: Of the first and of the second.
        n: Queries of the first and of the second.
        margin: A difference up to this share counts as none.
        verdict: On the second.
        why: In words.
    """

    ratio: float
    interval: Interval
    processes: tuple[int, int]
    n: tuple[int, int]
    margin: float
    verdict: Verdict
    why: str


def speed_ratio(
    first: Sequence[Samples],
    second: Sequence[Samples],
    *,
    margin: float = MARGIN,
    seed: int = 0,
) -> SpeedRatio:
    """Compare two measurements.

    Args:
        first: Milliseconds of every query in order, one array a process, none empty.
        second: Likewise.
        margin: A difference up to this share counts as none, 0 <= margin < 1.
        seed: Of the draws.
    """
    ratio = _middle(second) / _middle(first)
    drawn = _bootstrap(first, second, seed)
    interval = Interval(*(float(q) for q in np.quantile(drawn, (1 - _TAIL, _TAIL))))
    if min(len(first), len(second)) > 1:
        interval = interval.hull(_welch(first, second))
    alone = min(len(first), len(second)) == 1
    allowed = max(margin, MARGIN_OF_ONE_PROCESS) if alone else margin
    verdict, why = _judge(interval, allowed)
    if alone:
        why += f"; a single process cannot tell differences below {allowed:.0%}"
    return SpeedRatio(
        ratio=ratio,
        interval=interval,
        processes=(len(first), len(second)),
        n=(sum(map(len, first)), sum(map(len, second))),
        margin=allowed,
        verdict=verdict,
        why=why,
    )


def _judge(interval: Interval, margin: float) -> tuple[Verdict, str]:
    """Outside of the margin on one side: a difference. Too wide to see one: not told."""
    low, high = interval
    if high < 1 - margin:
        return "faster", f"at least {1 - high:.1%} shorter"
    if low > 1 + margin:
        return "slower", f"at least {low - 1:.1%} longer"
    if (high - low) / 2 > _TOO_WIDE:
        return "cannot be told", "the runs differ too much among themselves: measure again"
    return (
        "no difference seen",
        f"a difference beyond {low - 1:+.1%} .. {high - 1:+.1%} is ruled out",
    )


def _middle(processes: Sequence[Samples]) -> float:
    return float(np.median([np.median(one) for one in processes]))


def _bootstrap(
    first: Sequence[Samples], second: Sequence[Samples], seed: int
) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return _medians(second, rng) / _medians(first, rng)


def _medians(processes: Sequence[Samples], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Median over processes drawn anew, each of queries drawn anew; ``(RESAMPLES,)``."""
    redrawn = np.stack([_block_medians(one, rng) for one in processes])
    chosen = rng.integers(0, len(processes), (len(processes), RESAMPLES))
    return np.asarray(np.median(redrawn[chosen, np.arange(RESAMPLES)], axis=0))


def _block_medians(samples: Samples, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Medians of resamples made of blocks of neighbours; ``(RESAMPLES,)``.

    The medians of blocks are drawn instead of the queries themselves: with blocks of the square
    root of n that is as wide, and a thousand times cheaper for a run of many queries.
    """
    thinned = samples if samples.size <= _MOST else samples[: samples.size // _MOST * _MOST]
    length = max(1, math.isqrt(thinned.size))
    blocks = thinned[: thinned.size // length * length].reshape(-1, length)
    drawn = rng.integers(0, len(blocks), (RESAMPLES, len(blocks)))
    return np.asarray(np.median(np.median(blocks, axis=1)[drawn], axis=1))


def _welch(first: Sequence[Samples], second: Sequence[Samples]) -> Interval:
    """Of the ratio, from the logarithms of the medians of the processes."""
    logs = [np.log([np.median(one) for one in side]) for side in (first, second)]
    parts = [float(np.var(side, ddof=1)) / len(side) for side in logs]
    difference = float(np.mean(logs[1]) - np.mean(logs[0]))
    error = math.sqrt(sum(parts))
    if error == 0:
        return Interval(math.exp(difference), math.exp(difference))
    spread = sum(part**2 / (len(side) - 1) for part, side in zip(parts, logs, strict=True))
    degrees = max(1, int(sum(parts) ** 2 / spread))
    reach = student_quantile(_TAIL, degrees) * error
    return Interval(math.exp(difference - reach), math.exp(difference + reach))
