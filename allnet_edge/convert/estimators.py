"""From a histogram to the range that int8 is to cover.

Every estimator chooses one magnitude T; the range is what lies within -T .. T of the observed
interval, so that a ReLU's range starts at 0. Rounding costs less with a small T, saturation with a
large one.

- ``min-max``: all that was seen.
- ``percentile-P``: P per cent of the values (zeros included) keep their magnitude.
- ``entropy``: the least Kullback-Leibler divergence between the values and their quantized form
  (S. Migacz, "8-bit inference with TensorRT", GTC 2017: the calibrator of TensorRT 8).
- ``mse``: the least mean squared error of rounding and saturation together (M. Nagel et al. 2021,
  "A white paper on neural network quantization", arXiv 2106.08295, section 3.1).
"""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from allnet_edge.convert.histogram import BINS, Counts, Histogram
from allnet_edge.convert.ranges import Observation, Range

Estimator = Literal[
    "min-max", "percentile-99.9", "percentile-99.99", "percentile-99.999", "entropy", "mse"
]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)

_CANDIDATES = 128
_LOWEST = 0.1  # of the largest magnitude: a smaller T is never looked at
_Values = npt.NDArray[np.float64]


def estimate(histogram: Histogram, estimator: Estimator, *, symmetric: bool) -> Range:
    """The range of one tensor.

    Args:
        symmetric: For a grid of 255 values around a zero point of 0, as in ONNX Q/DQ; otherwise
            one of 256 values anywhere, as in TFLite.

    Returns:
        Within what was observed; of no width where every value was 0.
    """
    largest = histogram.magnitude
    if largest == 0.0:
        return Range(0.0, 0.0)
    if estimator == "min-max":
        limit = largest
    elif estimator == "entropy":
        limit = _entropy(histogram, 128 if symmetric or histogram.low < 0 else 256)
    elif estimator == "mse":
        limit = _mse(histogram, symmetric=symmetric)
    else:
        limit = _percentile(histogram, float(estimator.removeprefix("percentile-")))
    limit = min(limit, largest)
    # A tensor that is far from 0 on every image has an interval that -T .. T may miss.
    low, high = max(histogram.low, -limit), min(histogram.high, limit)
    return Range(min(low, high), max(low, high))


def estimate_all(
    observation: Observation, estimator: Estimator, *, symmetric: bool
) -> dict[str, Range]:
    """The range of every observed tensor; see ``estimate``."""
    return {
        name: estimate(histogram, estimator, symmetric=symmetric)
        for name, histogram in observation.histograms.items()
    }


def _percentile(histogram: Histogram, percent: float) -> float:
    reached = np.cumsum(histogram.folded())
    place = int(np.searchsorted(reached, percent / 100 * reached[-1]))
    return float(place + 1) * histogram.width


def _limits(histogram: Histogram) -> npt.NDArray[np.int64]:
    """Numbers of bins that a candidate T covers, ascending, the last with all values."""
    used = min(BINS, int(np.ceil(histogram.magnitude / histogram.width)))
    first = max(1, int(used * _LOWEST))
    return np.unique(np.linspace(first, used, _CANDIDATES).round().astype(np.int64))


def _entropy(histogram: Histogram, levels: int) -> float:
    counts = histogram.folded()
    # Zeros stay zeros whatever T is; left in, their spike would hide all else.
    counts[0] -= histogram.zeros
    limits = [int(limit) for limit in _limits(histogram) if limit >= levels]
    if not limits or not counts.any():
        return histogram.magnitude
    found = [_divergence(counts, limit, levels) for limit in limits]
    return limits[int(np.argmin(found))] * histogram.width


def _divergence(counts: Counts, limit: int, levels: int) -> float:
    """KL of the first ``limit`` bins, outliers in the last one, from the same on ``levels``."""
    kept = counts[:limit].astype(np.float64)
    if not kept.any():
        return np.inf
    reference = kept.copy()
    reference[-1] += counts[limit:].sum()
    starts = np.arange(levels) * limit // levels
    alive = (kept > 0).astype(np.float64)
    sums, members = np.add.reduceat(kept, starts), np.add.reduceat(alive, starts)
    spread = np.repeat(
        np.divide(sums, members, out=np.zeros(levels), where=members > 0),
        np.diff(np.append(starts, limit)),
    )
    quantized = spread * alive
    p, q = reference / reference.sum(), quantized / quantized.sum()
    seen = p > 0
    # A last bin that holds nothing but outliers has no share in q: the smallest that is none.
    return float((p[seen] * np.log(p[seen] / np.maximum(q[seen], 1e-12))).sum())


def _mse(histogram: Histogram, *, symmetric: bool) -> float:
    width = histogram.width
    centres: _Values = (np.arange(-BINS, BINS, dtype=np.float64) + 0.5) * width
    weights = histogram.counts.astype(np.float64)
    weights[BINS] -= histogram.zeros
    seen = weights > 0
    if not seen.any():
        return histogram.magnitude
    centres, weights = centres[seen], weights[seen]
    limits = _limits(histogram).astype(np.float64) * width
    found = [_error(centres, weights, histogram, limit, symmetric) for limit in limits.tolist()]
    return float(limits[int(np.argmin(found))])


def _error(
    centres: _Values, weights: _Values, histogram: Histogram, limit: float, symmetric: bool
) -> float:
    if symmetric:
        scale, low, high = limit / 127, -limit, limit
    else:
        low, high = max(min(histogram.low, 0.0), -limit), min(max(histogram.high, 0.0), limit)
        scale = (high - low) / 255
    quantized = np.clip(np.rint(centres / scale) * scale, low, high)
    return float((weights * np.square(centres - quantized)).sum())
