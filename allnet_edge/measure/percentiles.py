"""Percentiles of latencies: samples that occurred, and only those that n can support."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from allnet_edge.errors import BenchmarkInvalid, UsageError
from allnet_edge.spec.base import Frozen

Samples = npt.NDArray[np.float64]

_DOUBT = 0.01


def queries_needed(share: float) -> int:
    """Queries below which a percentile is not known with 99 % confidence.

    MLPerf Inference's early stopping with one query over the bound: the smallest n with
    P(Binomial(n, 1 - share) <= 1) <= 0.01.

    Args:
        share: Of the queries that are to be at most as long, 0 < share < 1.

    Raises:
        UsageError: A share that is no percentile.
    """
    if not 0 < share < 1:
        raise UsageError(
            f"{100 * share:g} is no percentile", fix="give one above 0 and below 100, such as 99.9"
        )
    low, high = 1, 2
    while _doubt(high, share) > _DOUBT:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _doubt(middle, share) > _DOUBT else (low, middle)
    return high


def _doubt(n: int, share: float) -> float:
    """P(Binomial(n, 1 - share) <= 1), which falls with n from n = 2 on."""
    return math.exp(n * math.log(share)) + n * (1 - share) * math.exp((n - 1) * math.log(share))


MINIMUM_QUERIES: Mapping[float, int] = MappingProxyType(
    {share: queries_needed(share) for share in (0.90, 0.95, 0.99)}
)


def percentile(samples: Samples, share: float) -> float:
    """The nearest-rank percentile, never interpolated.

    Args:
        samples: float64 ``(n,)``, n > 0.
        share: 0 < share < 1.
    """
    return float(np.quantile(samples, share, method="inverted_cdf"))


def supported(samples: Samples, share: float) -> float | None:
    """The percentile, or None where there are too few samples for it."""
    return percentile(samples, share) if samples.size >= queries_needed(share) else None


class LatencySummary(Frozen):
    """Milliseconds a query, as in bench.json; a percentile that n cannot support is null.

    Percentiles are samples that occurred (nearest rank), never interpolated. ``cov`` is the
    standard deviation over the mean; null for fewer than two queries.
    """

    min: float
    mean: float
    p50: float
    p90: float | None
    p95: float | None
    p99: float | None
    max: float
    cov: float | None

    @classmethod
    def of(cls, samples_ms: Samples) -> "LatencySummary":
        """Summarise.

        Args:
            samples_ms: Every measured query, float64 ``(n,)``, n > 0, milliseconds.

        Raises:
            BenchmarkInvalid: No sample.
        """
        n = samples_ms.size
        if not n:
            raise BenchmarkInvalid("no query was measured")
        mean = float(samples_ms.mean())
        return cls(
            min=float(samples_ms.min()),
            mean=mean,
            p50=percentile(samples_ms, 0.5),
            p90=supported(samples_ms, 0.90),
            p95=supported(samples_ms, 0.95),
            p99=supported(samples_ms, 0.99),
            max=float(samples_ms.max()),
            cov=float(samples_ms.std(ddof=1)) / mean if n > 1 and mean > 0 else None,
        )
