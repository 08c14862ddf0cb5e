"""The paired difference of two classifiers, with the bounds that the gate decides by."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.clusters import PairedCounts, bootstrap, tango_clustered
from allnet_edge.measure.intervals import Interval, tango
from allnet_edge.measure.metrics import BoolArray
from allnet_edge.spec.gate import GateSpec, Verdict

_MOST_CELLS = 10_000_000  # a larger number would be no advice
_ROUNDING = 1e-12  # of comparing a sum of fractions with a margin


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Share of cells that the second classifier gets right minus the first one's share.

    Attributes:
        counts: Per patient; under a single key where patients are unknown.
        resampled: Bounds of the patient bootstrap; None where patients are unknown.
        confidence: One-sided, of each bound.
    """

    counts: PairedCounts
    resampled: Interval | None
    confidence: float

    @classmethod
    def of(
        cls,
        first_right: BoolArray,
        second_right: BoolArray,
        patients: npt.NDArray[np.str_] | None,
        spec: GateSpec,
    ) -> "PairedDifference":
        """Count and resample.

        Args:
            first_right: Whether the first classifier is right, bool ``(n,)``, n > 0.
            second_right: Likewise.
            patients: Names ``(n,)``, or None where unknown.
            spec: Confidence, resamples and seed.
        """
        n = first_right.size
        keys = np.zeros(n, np.int64)
        if patients is not None:
            keys = np.unique(patients, return_inverse=True)[1]
        groups = int(keys.max()) + 1
        counts = PairedCounts(
            gains=np.bincount(keys[second_right & ~first_right], minlength=groups),
            losses=np.bincount(keys[first_right & ~second_right], minlength=groups),
            cells=np.bincount(keys, minlength=groups),
        )
        resampled = None
        if patients is not None:
            resampled = bootstrap(counts, spec.confidence, resamples=spec.resamples, seed=spec.seed)
        return cls(counts, resampled, spec.confidence)

    @property
    def patients(self) -> int | None:
        """How many, or None where unknown."""
        return None if self.resampled is None else self.counts.patients

    @property
    def delta(self) -> float:
        """The difference observed, -1..1."""
        return self.counts.difference

    def bounds(self, scale: float = 1) -> Interval:
        """The one-sided bounds, for ``scale`` times as many cells and patients at the same rates.

        Patients known: the hull of the patient bootstrap and Tango's interval at the effective
        number of cells. The bootstrap has no width when no patient's cells differ, however few
        they are, so it may widen the score interval but never narrow it. Else: Tango's interval.
        """
        if self.resampled is None:
            gains, losses, n = self.counts.totals
            return tango(gains * scale, losses * scale, n * scale, self.confidence)
        shrink = 1 / math.sqrt(scale)
        lower, upper = (self.delta + (b - self.delta) * shrink for b in self.resampled)
        score = tango_clustered(self.counts, self.confidence, scale)
        return score.hull(Interval(lower, upper))

    def needed(self, margin: float) -> int | None:
        """The smallest number of cells that would decide at the rates seen.

        Returns:
            At least the number at hand; None if one patient is all there is, or if the observed
            difference lies so near the margin that no practical number would decide.
        """
        n = self.counts.totals[2]
        if self.patients == 1 or not self._decides(_MOST_CELLS / n, margin):
            return None
        few, many = n - 1, _MOST_CELLS
        while many - few > 1:
            middle = (few + many) // 2
            if self._decides(middle / n, margin):
                many = middle
            else:
                few = middle
        return many

    def _decides(self, scale: float, margin: float) -> bool:
        return by_bounds(self.bounds(scale), margin) != "inconclusive"


def by_bounds(bounds: Interval, margin: float) -> Verdict:
    """Non-inferiority: no worse than the margin, surely worse, or not known."""
    if bounds.lower >= -margin - _ROUNDING:
        return "pass"
    return "fail" if bounds.upper < -margin - _ROUNDING else "inconclusive"


def by_point(delta: float, margin: float) -> Verdict:
    """Whether the observed difference is within the margin."""
    return "pass" if delta >= -margin - _ROUNDING else "fail"
