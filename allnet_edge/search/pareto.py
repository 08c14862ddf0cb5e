"""Which of many forms wins, which are on the Pareto front, and why each of the rest does not win.

Three figures count, all to be small: what the form loses on validation cells, how long one cell
takes, and the bytes of its file. A form is on the front if no other is at least as good in all
three and better in one (Pareto dominance; Miettinen 1999, Nonlinear Multiobjective Optimization).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["winner", "slower", "dominated", "over-budget", "not-acceptable", "not-made"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One form of one network.

    Attributes:
        id: Unique among all.
        drop: The larger loss of sensitivity and specificity on the validation cells, 0..1; a gain
            counts as no loss. None where the form gives no usable answers.
        latency_ms: Median of one cell; None where there is no file to measure.
        size: Bytes of its file; None likewise.
        refused: Why it is not acceptable whatever its speed; None where it is.
        made: Whether there is a file at all.
    """

    id: str
    drop: float | None
    latency_ms: float | None
    size: int | None
    refused: str | None = None
    made: bool = True

    @property
    def figures(self) -> tuple[float, float, int] | None:
        """What is compared, each to be small; None where one is not known."""
        if self.drop is None or self.latency_ms is None or self.size is None:
            return None
        return self.drop, self.latency_ms, self.size

    @property
    def usable(self) -> bool:
        """Whether it is acceptable and its figures are known."""
        return self.refused is None and self.figures is not None


@dataclass(frozen=True, slots=True)
class Place:
    """What became of one candidate.

    Attributes:
        front: Whether it is on the Pareto front of all candidates, acceptable or not.
        dominated_by: A candidate that is at least as good in all and better in one; None on the
            front, and where a figure is missing.
        why: One sentence.
    """

    status: Status
    front: bool
    dominated_by: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a search.

    Attributes:
        winner: Id; None where no candidate is acceptable within the budget.
        closest: Where there is no winner: in one sentence, what came closest.
        places: Of every candidate, by its id, in the order given.
    """

    winner: str | None
    closest: str | None
    places: dict[str, Place]


def decide(candidates: Sequence[Candidate], budget_ms: float) -> Decision:
    """The fastest acceptable candidate within the budget, and the place of every other.

    Of two that are equally fast the smaller file wins, then the smaller loss, then the first.

    Args:
        candidates: With ids that are unique.
        budget_ms: Longest time for one cell.
    """
    usable = [c for c in candidates if c.usable]
    within = [c for c in usable if _latency(c) <= budget_ms]
    winner = min(within, key=_rank) if within else None
    return Decision(
        winner=winner.id if winner else None,
        closest=None if winner else _closest(candidates, usable, budget_ms),
        places={c.id: _place(c, candidates, winner, budget_ms) for c in candidates},
    )


def dominates(one: Candidate, other: Candidate) -> bool:
    """Whether ``one`` is at least as good in all figures and better in one."""
    if one.figures is None or other.figures is None:
        return False
    pairs = list(zip(one.figures, other.figures, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _place(
    candidate: Candidate,
    candidates: Sequence[Candidate],
    winner: Candidate | None,
    budget_ms: float,
) -> Place:
    better = [other for other in candidates if dominates(other, candidate)]
    # One that may win says more than one that was refused itself.
    better.sort(key=lambda other: (other.refused is not None, other is not winner, _rank(other)))
    dominator = better[0].id if better else None
    front = candidate.figures is not None and not better
    status, why = _status(candidate, winner, dominator, budget_ms)
    return Place(status=status, front=front, dominated_by=dominator, why=why)


def _status(
    candidate: Candidate, winner: Candidate | None, dominator: str | None, budget_ms: float
) -> tuple[Status, str]:
    if not candidate.made:
        return "not-made", f"not made: {candidate.refused}"
    if not candidate.usable:
        return "not-acceptable", f"not acceptable: {candidate.refused or 'it was not measured'}"
    if candidate is winner:
        return "winner", f"the fastest acceptable form within the budget of {budget_ms:g} ms"
    over = _latency(candidate) - budget_ms
    if over > 0:
        return "over-budget", f"over the budget by {over:.3g} ms ({over / budget_ms:.0%})"
    slower = f"{_latency(candidate) / _latency(winner):.2f} x the winner's time" if winner else ""
    if dominator is not None:
        return "dominated", f"dominated by {dominator}; {slower}"
    return "slower", f"on the front, but slower than the winner: {slower}"


def _closest(candidates: Sequence[Candidate], usable: Sequence[Candidate], budget_ms: float) -> str:
    """What a person should look at first: the budget if something is good, else what is lost."""
    if usable:
        best = min(usable, key=_rank)
        over = _latency(best) - budget_ms
        return (
            f"{best.id} is acceptable and takes {_latency(best):.3g} ms, {over:.3g} ms over the "
            f"budget of {budget_ms:g} ms"
        )
    known = [c for c in candidates if c.drop is not None]
    if not known:
        return "no form gave usable answers"
    best = min(known, key=lambda c: (c.drop, c.latency_ms is None, _rank(c)))
    return f"{best.id} comes closest, but is not acceptable: {best.refused}"


def _latency(candidate: Candidate) -> float:
    return float("inf") if candidate.latency_ms is None else candidate.latency_ms


def _rank(candidate: Candidate) -> tuple[float, int, float]:
    drop = float("inf") if candidate.drop is None else candidate.drop
    return _latency(candidate), candidate.size or 0, drop
