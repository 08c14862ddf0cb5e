"""A histogram of one tensor's values, grown in one pass over the calibration images.

The width of a bin is a power of two, and doubling it merges neighbouring bins exactly. So the
result depends neither on the order of the images nor on where they were cut into parts, and two
histograms can be added.
"""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

BINS = 2048
"""Bins on each side of zero; at least half of the larger side's are in use."""

Floats: TypeAlias = npt.NDArray[np.float32]
Counts: TypeAlias = npt.NDArray[np.int64]

_BITS = BINS.bit_length() - 1
_SMALLEST = -100  # exponent of two below which a magnitude counts as nothing
_SAMPLE = 1 << 16


class Histogram:
    """Counts over the bins [k w, (k + 1) w) for k = -BINS .. BINS - 1.

    Attributes:
        low, high: Smallest and largest of all values, also of those that were not sampled.
        zeros: How many of the counted values are exactly 0, as after a ReLU; they are in bin 0 too.
        counts: int64 [2 BINS]; the first is that of the most negative bin.
    """

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.zeros = 0
        self.counts: Counts = np.zeros(2 * BINS, np.int64)
        self._exponent = _SMALLEST

    @property
    def width(self) -> float:
        """Width of a bin."""
        return math.ldexp(1.0, self._exponent - _BITS)

    @property
    def magnitude(self) -> float:
        """Largest absolute value; 0 where nothing was added."""
        return max(abs(self.low), abs(self.high)) if self.low <= self.high else 0.0

    @property
    def constant(self) -> bool:
        """Whether all values were the same number."""
        return self.low == self.high

    def add(self, values: Floats) -> None:
        """Count the values of one image.

        The ends are those of all values. Of a large tensor one value in every ``stride`` is
        counted, with a stride that has no common divisor with any side, so that every channel, row
        and column gets its share.

        Raises:
            ValueError: A value is NaN or infinite.
        """
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("a value is NaN or infinite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._grow(_exponent_of(max(abs(low), abs(high))))
        flat = values.reshape(-1)[:: _stride(values.shape)]
        self.zeros += int(flat.size - np.count_nonzero(flat))
        # A product with a power of two is exact: the bins nest.
        bins = np.floor(flat * np.float32(1.0 / self.width)).astype(np.int32)
        self.counts += np.bincount(bins + BINS, minlength=2 * BINS)

    def merged(self, other: "Histogram") -> "Histogram":
        """The histogram of both sets of values."""
        found = Histogram()
        for one in (self, other):
            found.low, found.high = min(found.low, one.low), max(found.high, one.high)
            found.zeros += one.zeros
            found._grow(one._exponent)
        for one in (self, other):
            found.counts += _coarser(one.counts, found._exponent - one._exponent)
        return found

    def folded(self) -> Counts:
        """Counts of |x| over [0, w), [w, 2 w), ...: int64 [BINS]."""
        return np.asarray(self.counts[BINS:] + self.counts[BINS - 1 :: -1], np.int64)

    def _grow(self, exponent: int) -> None:
        if exponent > self._exponent:
            self.counts = _coarser(self.counts, exponent - self._exponent)
            self._exponent = exponent


def _exponent_of(magnitude: float) -> int:
    """The smallest e with magnitude < 2^e."""
    return max(_SMALLEST, math.frexp(magnitude)[1])


def _coarser(counts: Counts, doublings: int) -> Counts:
    places = (np.arange(-BINS, BINS) >> min(doublings, _BITS + 1)) + BINS
    found = np.zeros_like(counts)
    np.add.at(found, places, counts)
    return found


def _stride(shape: tuple[int, ...]) -> int:
    stride = max(1, math.prod(shape) // _SAMPLE)
    while any(math.gcd(stride, side) > 1 for side in shape):
        stride += 1
    return stride
