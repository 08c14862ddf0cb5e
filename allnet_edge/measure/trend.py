"""Whether a series rises or falls.

Sources: the test of Mann 1945 (Econometrica 13:245) and Kendall 1975 (Rank Correlation Methods),
with his correction for ties; the slope of Theil 1950 and Sen 1968 (JASA 63:1379).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

_MOST = 200

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trend:
    """Of a series in order.

    Attributes:
        p_value: Two-sided, of Mann and Kendall's test, in the normal approximation; it takes the
            values for independent of each other.
        change: From the first to the last by Theil and Sen's slope.
    """

    p_value: float
    change: float


def trend(values: _Floats) -> Trend:
    """The trend of a series; a long one is first averaged to 200 consecutive parts.

    Args:
        values: float64 ``(n,)``, finite, n >= 3.
    """
    if values.size > _MOST:
        values = np.array([part.mean() for part in np.array_split(values, _MOST)])
    n = values.size
    first, second = np.triu_indices(n, k=1)
    differences = values[second] - values[first]
    concordance = float(np.sign(differences).sum())
    _, ties = np.unique(values, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    slope = float(np.median(differences / (second - first)))
    # One less: half of the step from one possible value of the statistic to the next.
    excess = max(0.0, abs(concordance) - 1)
    z = excess / math.sqrt(variance) if variance > 0 else 0.0
    return Trend(min(1.0, 2 * NormalDist().cdf(-z)), slope * (n - 1))
