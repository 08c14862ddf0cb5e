"""Which estimator, and whether biases are corrected: tried on validation cells, never the gate's.

What counts is how near the int8 network's logits are to those of the float graph that it was made
from: on the same few hundred cells their signal-to-noise ratio tells more than the few decisions
that flip. In the first round every estimator is tried on few cells, in the last the best two on
all, without and with corrected biases.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from allnet_edge.convert.estimators import Estimator
from allnet_edge.convert.range_stability import Stability
from allnet_edge.convert.ranges import Range
from allnet_edge.measure.agreement import Agreement

FIRST_ROUND = 64
FINALISTS = 2
TIE_DB = 0.1
"""Ratios that are no further apart say nothing: the simpler way is taken."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way of quantizing."""

    estimator: Estimator
    bias_correction: bool


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a trial.

    Attributes:
        agreement: With the float graph on the first ``agreement.n`` selection cells; None where
            another estimator gave the very same ranges.
        why: Chosen, or why not.
    """

    trial: Trial
    agreement: Agreement | None
    stability: Stability
    why: str

    def to_json(self) -> dict[str, object]:
        """Plain data for ``calibration.json``."""
        found = self.agreement
        measured: dict[str, object] = {}
        if found is not None:
            measured = {
                "cells": found.n,
                "logit_snr_db": found.logit_snr_db,
                "mean_abs_difference": found.mean_abs,
                "max_abs_difference": found.max_abs,
                "flips": found.flips,
            }
        return {
            "estimator": self.trial.estimator,
            "bias_correction": self.trial.bias_correction,
            **measured,
            "stability": self.stability.to_json(),
            "why": self.why,
        }


Score = Callable[[Trial, int], Agreement]
"""Quantizes so, and compares with the float graph on the first so many cells."""


def choose(
    ranges: Mapping[Estimator, Mapping[str, Range]],
    stabilities: Mapping[Estimator, Stability],
    corrections: Sequence[bool],
    cells: int,
    score: Score,
) -> tuple[Trial, tuple[Row, ...]]:
    """Try and choose.

    Args:
        ranges: Of every estimator that may be chosen, at least one; in the order in which ties are
            decided.
        stabilities: Of the same. An estimator whose halves disagree is chosen only if all do.
        corrections: Whether biases may be left, corrected, or both.
        cells: How many selection cells there are.

    Returns:
        The choice, and a row for everything that was tried, in order.
    """
    rows: list[Row] = []
    distinct: list[Estimator] = []
    for estimator, found in ranges.items():
        same = next((one for one in distinct if ranges[one] == found), None)
        if same is None:
            distinct.append(estimator)
        else:
            why = f"the same ranges as {same}"
            rows.append(Row(Trial(estimator, corrections[0]), None, stabilities[estimator], why))
    steady = [estimator for estimator in distinct if stabilities[estimator].stable]
    finalists = steady or distinct
    if len(distinct) > 1:
        few = min(FIRST_ROUND, cells)
        first = _tried([Trial(e, corrections[0]) for e in distinct], stabilities, few, score)
        ranked = [row.trial.estimator for row in _ranked(first) if row.trial.estimator in finalists]
        finalists = [estimator for estimator in distinct if estimator in ranked[:FINALISTS]]
        rows += [replace(r, why=_of_first_round(r, finalists, steady, few)) for r in first]
    final = _tried([Trial(e, c) for e in finalists for c in corrections], stabilities, cells, score)
    ranked_final = _ranked(final)
    enough = _decibels(ranked_final[0]) - TIE_DB
    best = next(row for row in final if _decibels(row) >= enough)
    rows.append(replace(best, why=_reason(best, len(final), steady=bool(steady))))
    rows += [replace(row, why=_beaten(row, best)) for row in ranked_final if row is not best]
    return best.trial, tuple(rows)


def _of_first_round(
    row: Row, finalists: Sequence[Estimator], steady: Sequence[Estimator], cells: int
) -> str:
    estimator = row.trial.estimator
    if estimator in finalists:
        return f"one of the best {FINALISTS} on {cells} cells: tried on all"
    if steady and estimator not in steady:
        return "two halves of the calibration images disagree on its ranges"
    return f"not among the best {FINALISTS} on {cells} cells"


def _tried(
    trials: Sequence[Trial], stabilities: Mapping[Estimator, Stability], cells: int, score: Score
) -> list[Row]:
    return [Row(trial, score(trial, cells), stabilities[trial.estimator], "") for trial in trials]


def _ranked(rows: Sequence[Row]) -> list[Row]:
    """The best first; equals in the order in which they were tried."""
    return sorted(rows, key=lambda row: -_decibels(row))


def _decibels(row: Row) -> float:
    if row.agreement is None:
        return float("-inf")
    snr = row.agreement.logit_snr_db
    return float("inf") if snr is None else snr


def _reason(best: Row, tried: int, *, steady: bool) -> str:
    cells = best.agreement.n if best.agreement is not None else 0
    text = (
        f"chosen: the highest logit signal-to-noise ratio on {cells} validation cells, "
        f"{_snr(best)} (to within {TIE_DB} dB)"
        if tried > 1
        else "the only one that the recipe allows"
    )
    return text if steady else f"{text}; two halves of the calibration images disagree on it"


def _beaten(row: Row, best: Row) -> str:
    if _decibels(row) >= _decibels(best):
        return f"no more than {TIE_DB} dB above a simpler way"
    return f"less than {_snr(best)}"


def _snr(row: Row) -> str:
    decibels = _decibels(row)
    return f"{decibels:.1f} dB" if decibels != float("inf") else "no difference at all"
