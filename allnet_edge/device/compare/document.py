"""What `compare` says, as data."""

from typing import Literal

from allnet_edge.measure.speed_ratio import Verdict
from allnet_edge.spec.base import Frozen

REGRESSION = 5
INVALID = 6
INCONCLUSIVE = 8


class Change(Frozen):
    """Something that is not the same on both sides; null where a side does not have it."""

    what: str
    a: str | None
    b: str | None


class SpeedChange(Frozen):
    """One candidate, timed on both sides; the ratio is b over a.

    Attributes:
        a, b: Ids of the candidates.
        a_p50_ms, b_p50_ms: Medians.
        ratio, lower, upper: With a two-sided 95 % interval; null where it cannot be told.
        verdict: On b.
        why: In words.
    """

    a: str
    b: str
    a_p50_ms: float
    b_p50_ms: float
    ratio: float | None
    lower: float | None
    upper: float | None
    verdict: Verdict
    why: str


class Comparison(Frozen):
    """The whole answer.

    Attributes:
        kind: Of what was compared.
        changes: What is different, in the order of importance.
        speed: Candidates that were timed on both sides.
        warnings: Differences that the reader has to keep in mind.
        refused: Why times cannot be compared at all; empty where they can.
        invalid: Reasons why a side's own figures cannot be trusted.
        regressions: What became worse.
    """

    kind: Literal["benchmarks", "bundles"]
    changes: tuple[Change, ...] = ()
    speed: tuple[SpeedChange, ...] = ()
    warnings: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    regressions: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """5 for a regression, 6 where a side is invalid, 8 where it cannot be told, else 0."""
        if self.regressions:
            return REGRESSION
        if self.invalid:
            return INVALID
        untold = any(one.verdict == "cannot be told" for one in self.speed)
        return INCONCLUSIVE if self.kind == "benchmarks" and (untold or self.refused) else 0
