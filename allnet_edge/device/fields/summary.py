"""What is said about a slide: counts, shares with their intervals, and what was not assessed.

Cells of one field resemble each other, so fields are taken as clusters: Wilson's interval (1927,
JASA 22:209) at the effective number of cells, after Korn & Graubard 1998 (Survey Methodology
24:193), with Student's quantile on the degrees of freedom that the variance between fields has
(Satterthwaite 1946), at most as many as there are fields less one. The interval is about the
fields of this slide that might have been looked at; the network's own errors are not in it. Never
a diagnosis: see ``docs/intended_use.md``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from allnet_edge.device.fields.counts import FieldCounts
from allnet_edge.device.fields.results import Reason
from allnet_edge.intended import RESEARCH_USE
from allnet_edge.measure.clusters import wilson_clustered
from allnet_edge.measure.trend import trend

CONFIDENCE: Final = 0.95
METHOD: Final = (
    "Wilson's interval at the effective number of cells, fields as clusters, Student's quantile "
    "at Satterthwaite's degrees of freedom; two-sided 95 %"
)
FEWEST_FIELDS: Final = 10
"""For a trend of the stain to be seen."""

_P_VALUE = 0.01
_LEAST_CHANGE = 0.5  # of a distance in standard deviations: less does no harm

Direction = Literal["rose", "fell", "steady", "unknown"]


@dataclass(frozen=True, slots=True)
class Share:
    """Some cells of others.

    Attributes:
        count: Some.
        of: All.
        share: 0..1; None where there are none.
        lower: Of the interval, 0..1; 0 where it comes from one field, which says nothing of
            others; None where there are no cells.
        upper: Likewise, 1 where it comes from one field.
        fields: Fields that have any of the cells.
    """

    count: int
    of: int
    share: float | None
    lower: float | None
    upper: float | None
    fields: int

    @classmethod
    def over(cls, counts: Sequence[int], of: Sequence[int]) -> "Share":
        """Add the fields up.

        Args:
            counts: Per field, at most ``of``.
            of: Per field.
        """
        some, every = np.array(counts, np.int64), np.array(of, np.int64)
        n, fields = int(every.sum()), int((every > 0).sum())
        if n == 0:
            return cls(0, 0, None, None, None, 0)
        found = wilson_clustered(some, every, (1 + CONFIDENCE) / 2, observed_degrees=True)
        return cls(int(some.sum()), n, int(some.sum()) / n, *found, fields)

    @property
    def in_words(self) -> str:
        """Such as ``9.0 %, 95 % interval 6.1-13.0 %, 28 fields``."""
        if self.share is None or self.lower is None or self.upper is None:
            return "no cells"
        share = f"{100 * self.share:.1f} %"
        if self.fields < 2:
            return f"{share}, one field: no interval can be given"
        interval = f"95 % interval {100 * self.lower:.1f}-{100 * self.upper:.1f} %"
        return f"{share}, {interval}, {self.fields} fields"

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "count": self.count,
            "of": self.of,
            "share": self.share,
            "lower": self.lower,
            "upper": self.upper,
            "fields": self.fields,
        }


@dataclass(frozen=True, slots=True)
class Drift:
    """How the mean stain distance of the fields went over the slide.

    Attributes:
        direction: ``unknown`` for too few fields.
        first: Median over the first third of the fields; None for too few.
        last: Over the last third.
        p_value: Of the test for a trend; None for too few.
        fields: That have a stain distance.
    """

    direction: Direction
    first: float | None
    last: float | None
    p_value: float | None
    fields: int

    @classmethod
    def of(cls, distances: Sequence[float]) -> "Drift":
        """Judge a series in the order of the fields.

        It rose or fell where the trend is too strong for chance (p < 0.01) and large enough to
        matter (half a standard deviation of the training cells from the first to the last).
        """
        values = np.array(distances, np.float64)
        n = values.size
        if n < FEWEST_FIELDS:
            return cls("unknown", None, None, None, n)
        seen = trend(values)
        third = n // 3
        first, last = float(np.median(values[:third])), float(np.median(values[-third:]))
        moved = seen.p_value < _P_VALUE and abs(seen.change) >= _LEAST_CHANGE
        direction: Direction = "steady"
        if moved:
            direction = "rose" if seen.change > 0 else "fell"
        return cls(direction, first, last, seen.p_value, n)

    @property
    def in_words(self) -> str:
        """One sentence."""
        if self.first is None or self.last is None:
            return (
                f"Too few fields to tell whether the stain changed ({self.fields}, at least "
                f"{FEWEST_FIELDS})."
            )
        between = f"from {self.first:.1f} to {self.last:.1f}, {self.fields} fields"
        if self.direction == "steady":
            return f"The stain distance stayed as it was ({between})."
        advice = " Look at stain, lamp and focus." if self.direction == "rose" else ""
        return f"The stain distance {self.direction} ({between}).{advice}"

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "direction": self.direction,
            "first": self.first,
            "last": self.last,
            "p_value": self.p_value,
            "fields": self.fields,
            "in_words": self.in_words,
        }


@dataclass(frozen=True, slots=True)
class SlideSummary:
    """What is said about a slide.

    Attributes:
        fields: Usable ones, with or without cells.
        refused: Fields that were not assessed as a whole, by reason.
        found: White cells in the usable fields.
        positive: The class that is told of first; None with more than two classes.
        classes: Cells of each class among the assessed ones.
        not_assessed: Among the cells found.
        reasons: The same for each reason that occurred, the most frequent one first.
        drift: Of the stain.
        notes: What else a reader has to know, in whole sentences.
    """

    fields: int
    refused: Mapping[Reason, int]
    found: int
    positive: str | None
    classes: Mapping[str, Share]
    not_assessed: Share
    reasons: Mapping[Reason, Share]
    drift: Drift
    notes: tuple[str, ...] = ()

    @property
    def assessed(self) -> int:
        """Cells that were decided on."""
        return self.found - self.not_assessed.count

    @property
    def sentence(self) -> str:
        """The slide in plain words; never a diagnosis."""
        return " ".join([self._result(), *self._rest(), *self.notes, RESEARCH_USE])

    def _result(self) -> str:
        left = self.not_assessed.count
        others = f"{left} cell{' was' if left == 1 else 's were'} not assessed"
        if not self.assessed:
            fields = f"{self.fields} field{'' if self.fields == 1 else 's'}"
            return f"No cell was assessed in {fields}; {others}."
        told = [self.positive] if self.positive in self.classes else list(self.classes)
        shares = [
            f"{share.count} of {share.of} assessed cells ({share.in_words}) were classified as "
            f"'{name}'"
            for name, share in ((str(one), self.classes[str(one)]) for one in told)
        ]
        return f"{'; '.join(shares)}; {others}."

    def _rest(self) -> list[str]:
        said = []
        refused = sum(self.refused.values())
        if refused:
            of = self.fields + refused
            said.append(f"{refused} of {of} fields were not assessed as a whole.")
        if self.drift.direction in {"rose", "fell"}:
            said.append(self.drift.in_words)
        return said

    def to_json(self) -> dict[str, object]:
        """Plain data; reasons by their short names."""
        return {
            "sentence": self.sentence,
            "research_use": RESEARCH_USE,
            "fields": self.fields,
            "refused": {reason.name: n for reason, n in self.refused.items()},
            "found": self.found,
            "assessed": self.assessed,
            "positive": self.positive,
            "classes": {name: share.to_json() for name, share in self.classes.items()},
            "not_assessed": self.not_assessed.to_json(),
            "reasons": {
                reason.name: {"in_words": reason.value, **share.to_json()}
                for reason, share in self.reasons.items()
            },
            "drift": self.drift.to_json(),
            "notes": list(self.notes),
            "method": METHOD,
        }


def summarise(
    fields: Sequence[FieldCounts],
    positive: str | None,
    classes: Sequence[str],
    *,
    notes: Sequence[str] = (),
) -> SlideSummary:
    """Sum a slide up.

    Args:
        fields: In the order in which they were taken.
        positive: The class that is told of first; None with more than two classes.
        classes: Of the network, in its order; a class of a correction that it does not know
            follows them.
        notes: What is to be said of the bundle, the scale and the camera, in whole sentences:
            synthetic training cells, a leaking split, a gate that was not passed, no calibration.
    """
    usable = [one for one in fields if one.refused is None]
    lost = [sum(one.not_assessed.values()) for one in usable]
    assessed = [one.assessed for one in usable]
    found = [a + b for a, b in zip(assessed, lost, strict=True)]
    others = sorted({name for one in usable for name in one.labels} - set(classes))
    counted = Counter[Reason]()
    for one in usable:
        counted.update(one.not_assessed)
    distances = [one.stain_distance for one in usable]
    return SlideSummary(
        fields=len(usable),
        refused=dict(Counter(one.refused for one in fields if one.refused is not None)),
        found=sum(found),
        positive=positive,
        classes={
            name: Share.over([one.labels.get(name, 0) for one in usable], assessed)
            for name in (*classes, *others)
        },
        not_assessed=Share.over(lost, found),
        reasons={
            reason: Share.over([one.not_assessed.get(reason, 0) for one in usable], found)
            for reason, n in counted.most_common()
            if n
        },
        drift=Drift.of([one for one in distances if one is not None]),
        notes=tuple(notes),
    )
