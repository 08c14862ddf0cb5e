"""Intervals for cells that come in patients, and so are not independent.

Sources: the patient-cluster bootstrap (Field & Welsh 2007, JRSS B 69:369); the effective sample
size of clustered counts (Rao & Scott 1992, Biometrics 48:577) inside Tango's score interval.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.intervals import Interval, student_quantile, tango

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """How two classifiers differ on the same cells, patient by patient.

    Attributes:
        gains: Cells that only the second one gets right, int64 ``(patients,)``.
        losses: Cells that only the first one gets right, int64 ``(patients,)``.
        cells: All cells, int64 ``(patients,)``, each at least 1.
    """

    gains: _Ints
    losses: _Ints
    cells: _Ints

    @property
    def patients(self) -> int:
        """How many."""
        return int(self.cells.size)

    @property
    def totals(self) -> tuple[int, int, int]:
        """Gains, losses and cells over all patients."""
        return int(self.gains.sum()), int(self.losses.sum()), int(self.cells.sum())

    @property
    def difference(self) -> float:
        """Share right of the second minus that of the first, -1..1."""
        gains, losses, cells = self.totals
        return (gains - losses) / cells


def patient_weights(
    patients: int, resamples: int, seed: int, block: int = 4_000_000
) -> Iterator[_Ints]:
    """How often each patient is drawn in each resample, in blocks of ``(rows, patients)``.

    Drawing patients with replacement is a multinomial draw. A statistic made of sums over cells is
    then the product of these weights with each patient's sums: no cell is touched again.

    Args:
        patients: At least 1.
        resamples: Rows over all blocks.
        seed: Of the draws.
        block: Largest number of weights held at once.
    """
    rng = np.random.default_rng(seed)
    share = np.full(patients, 1 / patients)
    rows = max(1, block // patients)
    for start in range(0, resamples, rows):
        yield rng.multinomial(patients, share, size=min(rows, resamples - start))


def bootstrap(
    counts: PairedCounts, confidence: float = 0.95, *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile interval of the difference over resampled patients.

    It has no width where all patients agree, however few they are, and is too narrow for few
    patients: never decide by it alone (see ``clustered``).
    """
    sums = np.stack([counts.gains - counts.losses, counts.cells], axis=1)
    totals = np.concatenate([w @ sums for w in patient_weights(counts.patients, resamples, seed)])
    differences = totals[:, 0] / totals[:, 1]
    lower = np.quantile(differences, 1 - confidence, method="lower")
    return Interval(float(lower), float(np.quantile(differences, confidence, method="higher")))


def design_effect(counts: PairedCounts) -> float:
    """Variance of the difference between patients over that of independent cells, at least 1."""
    gains, losses, n = counts.totals
    difference = counts.difference
    independent = (gains + losses) / n - difference**2
    if independent <= 0 or counts.patients < 2:
        return 1.0
    residual = (counts.gains - counts.losses) - difference * counts.cells
    observed = counts.patients / (counts.patients - 1) * float(residual @ residual) / n
    return max(1.0, observed / independent)


def tango_clustered(counts: PairedCounts, confidence: float = 0.95, scale: float = 1) -> Interval:
    """Tango's interval at the EFFECTIVE number of cells.

    Cells of one patient tend to flip together, so n of them say less than n independent ones: the
    counts are divided by the design effect, and the normal quantile becomes Student's with
    ``patients - 1`` degrees of freedom. One patient says nothing about others: (-1, 1).

    Args:
        counts: Per patient.
        confidence: One-sided, of each bound.
        scale: Answer for ``scale`` times as many cells at the same rates and design effect.
    """
    if counts.patients < 2:
        return Interval(-1.0, 1.0)
    share = scale / design_effect(counts)
    gains, losses, cells = counts.totals
    z = student_quantile(confidence, counts.patients - 1)
    return tango(gains * share, losses * share, cells * share, z=z)
