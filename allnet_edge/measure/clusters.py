"""Intervals for cells that come in patients, and so are not independent.

Sources: the patient-cluster bootstrap (Field & Welsh 2007, JRSS B 69:369); the effective sample
size of clustered counts (Rao & Scott 1992, Biometrics 48:577) inside Tango's, Wilson's and
Newcombe's score intervals; for ROC areas that of the placement values (Obuchowski 1997, Biometrics
53:567); for the area under the precision-recall curve a binomial interval with as many trials as
positive cells (Boyd, Eng & Page 2013, ECML PKDD).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.intervals import (
    Interval,
    auc_score,
    placements,
    student_quantile,
    tango,
    wilson,
)
from allnet_edge.measure.metrics import BoolArray, FloatArray, roc_auc
from allnet_edge.measure.ranking import precisions_at_positives
from allnet_edge.measure.scored import Side

_Ints = npt.NDArray[np.int64]
_Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]
_NOTHING = Interval(0.0, 1.0)  # what one patient says about others


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
    independent = (gains + losses) / n - counts.difference**2
    return _inflation(counts.gains - counts.losses, counts.cells, independent)


def _inflation(sums: _Numbers, cells: _Ints, independent: float) -> float:
    """Variance of ``sum(sums) / sum(cells)`` over that of independent cells, at least 1.

    Args:
        sums: Of a value of the cells, per patient.
        cells: Per patient, each at least 1.
        independent: Variance of the value among all cells; where it is 0, nothing can be seen.
    """
    patients, n = cells.size, int(cells.sum())
    if independent < 1e-12 or patients < 2:  # equal values, but for rounding
        return 1.0
    residual = sums - sums.sum() / n * cells
    return max(1.0, patients / (patients - 1) * float(residual @ residual) / n / independent)


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


def wilson_clustered(
    successes: _Ints, cells: _Ints, confidence: float = 0.95, *, observed_degrees: bool = False
) -> Interval:
    """Wilson's interval at the EFFECTIVE number of cells, as ``tango_clustered`` has Tango's.

    Args:
        successes: Per patient.
        cells: Per patient; a patient without any says nothing and is left out.
        confidence: One-sided, of each bound.
        observed_degrees: Take fewer degrees of freedom where few patients carry the variance: see
            ``_degrees``. Where rare cells come in clumps, the interval covers too seldom otherwise.
    """
    seen = cells > 0
    successes, cells = successes[seen], cells[seen]
    if cells.size < 2:
        return _NOTHING
    right, n = int(successes.sum()), int(cells.sum())
    share = 1 / _inflation(successes, cells, right / n * (1 - right / n))
    degrees = _degrees(successes - right / n * cells) if observed_degrees else cells.size - 1
    return wilson(right * share, n * share, z=student_quantile(confidence, degrees))


def _degrees(residuals: npt.NDArray[np.float64]) -> int:
    """Degrees of freedom of a variance between patients, 1 .. patients - 1.

    Satterthwaite's (1946, Biometrics Bulletin 2:110), with the fourth moment as it is seen, not as
    a normal distribution has it: 2 V^2 / Var(V) for V = sum of squares, as many as there are
    patients if they are normal, and near 2 if one patient carries all of it.
    """
    patients = residuals.size
    total, fourth = float((residuals**2).sum()), float((residuals**4).sum())
    spread = fourth - total**2 / patients
    if spread <= 0:  # all alike, but for their signs
        return patients - 1
    return max(1, min(patients - 1, int(2 * total**2 / spread)))


def auc_clustered(
    labels: BoolArray, scores: FloatArray, owner: _Ints, confidence: float = 0.95
) -> Interval:
    """Newcombe's interval for the ROC area at the EFFECTIVE number of cells of each class.

    The degrees of freedom are those of the class with fewer patients; with one patient in either
    class the interval is (0, 1).

    Args:
        labels: bool ``(n,)``, both classes.
        scores: float ``(n,)``, finite.
        owner: Number of each cell's patient, int64 ``(n,)``.
        confidence: One-sided, of each bound.
    """
    effective, patients = [], []
    for group, values in zip((labels, ~labels), placements(labels, scores), strict=True):
        cells = np.bincount(owner[group])
        sums = np.bincount(owner[group], values)
        effect = _inflation(sums[cells > 0], cells[cells > 0], float(values.var()))
        effective.append(max(1.0, values.size / effect))
        patients.append(int((cells > 0).sum()))
    if min(patients) < 2:
        return _NOTHING
    z = student_quantile(confidence, min(patients) - 1)
    return auc_score(roc_auc(labels, scores), *effective, z=z)


def pr_auc_clustered(side: Side, owner: _Ints, confidence: float = 0.95) -> Interval:
    """Wilson's interval for the average precision at the EFFECTIVE number of positive cells.

    The average precision is the mean over the positive cells of the precision at their scores, and
    its design effect is that of these values. Degrees of freedom and the case of one patient in
    either class are as in ``auc_clustered``.

    Args:
        side: A class against the rest.
        owner: Number of each cell's patient, int64 ``(n,)``.
        confidence: One-sided, of each bound.
    """
    patients = [np.unique(owner[group]).size for group in (side.truth, ~side.truth)]
    if min(patients) < 2:
        return _NOTHING
    values = precisions_at_positives(side)
    cells = np.bincount(owner[side.truth])
    sums = np.bincount(owner[side.truth], values)
    effect = _inflation(sums[cells > 0], cells[cells > 0], float(values.var()))
    effective = max(1.0, values.size / effect)
    z = student_quantile(confidence, min(patients) - 1)
    return wilson(float(values.mean()) * effective, effective, z=z)


def mean_clustered(
    values: npt.NDArray[np.float64], owner: _Ints, most: float, confidence: float = 0.95
) -> Interval:
    """Student's interval for the mean of a value of the cells, from the spread between patients.

    Args:
        values: float64 ``(n,)``, 0..most.
        owner: Number of each cell's patient, int64 ``(n,)``; the cell's own where unknown.
        most: The largest value there can be.
        confidence: One-sided, of each bound.

    Returns:
        Within 0..most, which is also what one patient says about others.
    """
    cells = np.bincount(owner)
    if cells.size < 2:
        return Interval(0.0, most)
    mean = float(values.mean())
    residual = np.bincount(owner, values) - mean * cells
    spread = math.sqrt(cells.size / (cells.size - 1) * float(residual @ residual)) / values.size
    half = student_quantile(confidence, cells.size - 1) * spread
    return Interval(max(0.0, mean - half), min(most, mean + half))
