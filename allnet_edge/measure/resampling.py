"""Every figure of a network on many resamples of the patients at once.

A statistic made of sums over cells is the product of the resamples' weights with each patient's
sums: no cell is touched again. Only the areas under the curves need the cells, and those are sorted
once (``ranking``). The figures themselves are the resample in which each patient counts once, so
that a value and its interval cannot come from different formulas.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allnet_edge.measure.ranking import Ranking
from allnet_edge.measure.rates import Counts, npv_at, ppv_at, share
from allnet_edge.measure.reliability import BINS, bin_of, squared_errors
from allnet_edge.measure.scored import Floats, Ints, Scored

AVERAGED = ("sensitivity", "specificity", "ppv", "f1", "roc_auc", "pr_auc")
"""Figures of a class against the rest that are averaged over the classes."""

Values = Mapping[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Figures of many resamples; each array is float64 ``(resamples,)``, NaN where undefined.

    Attributes:
        overall: Of the network, by name.
        per_class: Of each class against the rest; empty for two classes.
    """

    overall: Values
    per_class: tuple[Values, ...]

    @classmethod
    def joined(cls, blocks: "list[Statistics]") -> "Statistics":
        """Blocks of resamples, one after the other."""
        return cls(
            _joined([block.overall for block in blocks]),
            tuple(
                _joined([block.per_class[at] for block in blocks])
                for at in range(len(blocks[0].per_class))
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PatientSums:
    """What has to be known of each patient to compute every figure of any resample.

    Attributes:
        scored: The cells.
        owner: Number of each cell's patient, int64 ``(n,)``.
        rankings: The cells sorted by the probability of each class that is looked at.
        counts: Per such class tp, fn, tn, fp, float64 ``(patients, sides, 4)``.
        errors: Sum of the squared errors, float64 ``(patients,)``.
        bins: Per bin cells, probabilities and what was true, float64 ``(patients, 3, bins)``.
        prevalence: At which predictive values are asked for, too; two classes only.
    """

    scored: Scored
    owner: Ints
    rankings: tuple[Ranking, ...]
    counts: Floats
    errors: Floats
    bins: Floats
    prevalence: float | None

    @classmethod
    def of(cls, scored: Scored, owner: Ints, prevalence: float | None = None) -> "PatientSums":
        """Add the cells up."""
        positions = (1,) if scored.binary else range(scored.classes)
        sides = [scored.side(position) for position in positions]
        patients = int(owner.max()) + 1

        def per_patient(values: npt.NDArray[np.number] | npt.NDArray[np.bool_]) -> Floats:
            return np.asarray(np.bincount(owner, values.astype(np.float64), patients), np.float64)

        counts = [
            [
                per_patient(side.truth & side.called),
                per_patient(side.truth & ~side.called),
                per_patient(~side.truth & ~side.called),
                per_patient(~side.truth & side.called),
            ]
            for side in sides
        ]
        return cls(
            scored=scored,
            owner=owner,
            rankings=tuple(Ranking.of(side) for side in sides),
            counts=np.array(counts).transpose(2, 0, 1),
            errors=per_patient(squared_errors(scored)),
            bins=_bins(scored, owner, patients),
            prevalence=prevalence,
        )

    @property
    def patients(self) -> int:
        """How many."""
        return int(self.errors.size)

    def once(self) -> Statistics:
        """Each patient once: the figures themselves, in arrays of length 1."""
        return self.resample(np.ones((1, self.patients), np.int64))

    def resample(self, weights: Ints) -> Statistics:
        """The figures of resamples.

        Args:
            weights: How often each patient is drawn, int64 ``(resamples, patients)``.
        """
        table = weights.astype(np.float64)
        cells = table @ self.bins[:, 0].sum(axis=1)
        sides = [
            Counts(*(table @ self.counts[:, at, column] for column in range(4)))
            for at in range(len(self.rankings))
        ]
        areas = [ranking.areas(weights, self.owner) for ranking in self.rankings]
        calibration = {"brier": share(table @ self.errors, cells), "ece": self._ece(table)}
        if self.scored.binary:
            return Statistics(_binary(sides[0], areas[0], self.prevalence) | calibration, ())
        per_class = tuple(_side(side, area) for side, area in zip(sides, areas, strict=True))
        right = sum((side.tp for side in sides), np.zeros(len(weights)))
        overall = {"accuracy": share(right, cells)} | _averages(per_class, sides)
        return Statistics(overall | calibration, per_class)

    def _ece(self, table: Floats) -> Floats:
        """Mean over the cells of how far each bin's probability is from its share of truth."""
        cells, said, held = (table @ self.bins[:, row] for row in range(3))
        return share(np.abs(said - held).sum(axis=1), cells.sum(axis=1))


def _bins(scored: Scored, owner: Ints, patients: int) -> Floats:
    probability, true = scored.top_label()
    place = owner * BINS + bin_of(probability)
    rows = [np.ones(len(scored)), probability, true.astype(np.float64)]
    sums = [np.bincount(place, row, patients * BINS).reshape(patients, BINS) for row in rows]
    return np.stack(sums, axis=1)


def _binary(
    counts: Counts, areas: tuple[Floats, Floats], prevalence: float | None
) -> dict[str, Floats]:
    cells = counts.cells + counts.others
    sensitivity, specificity = counts.sensitivity, counts.specificity
    f1 = [(counts.cells, counts.f1), (counts.others, counts.turned.f1)]
    found = {
        "accuracy": share(counts.tp + counts.tn, cells),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": counts.ppv,
        "npv": counts.npv,
        "f1": counts.f1,
        "weighted_f1": share(
            sum((np.where(n > 0, n * f, 0.0) for n, f in f1), np.zeros(cells.size)), cells
        ),
        "roc_auc": areas[0],
        "pr_auc": areas[1],
    }
    if prevalence is not None:
        found["ppv_at_prevalence"] = ppv_at(prevalence, sensitivity, specificity)
        found["npv_at_prevalence"] = npv_at(prevalence, sensitivity, specificity)
    return found


def _side(counts: Counts, areas: tuple[Floats, Floats]) -> Values:
    return {
        "sensitivity": counts.sensitivity,
        "specificity": counts.specificity,
        "ppv": counts.ppv,
        "f1": counts.f1,
        "roc_auc": areas[0],
        "pr_auc": areas[1],
    }


def _averages(per_class: tuple[Values, ...], sides: list[Counts]) -> dict[str, Floats]:
    """Plain means over the classes, and means weighted by their numbers of cells.

    The macro sensitivity is called balanced accuracy, as in two classes; the weighted sensitivity
    is the accuracy, and left out.
    """
    cells = np.stack([side.cells for side in sides])
    found: dict[str, Floats] = {}
    for name in AVERAGED:
        values = np.stack([figures[name] for figures in per_class])
        macro = "balanced_accuracy" if name == "sensitivity" else f"macro_{name}"
        found[macro] = values.mean(axis=0)
        if name != "sensitivity":
            found[f"weighted_{name}"] = (values * cells).sum(axis=0) / cells.sum(axis=0)
    return found


def _joined(blocks: list[Values]) -> Values:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
