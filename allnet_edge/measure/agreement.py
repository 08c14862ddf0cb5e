"""How far one rung of the ladder (Keras, ONNX, TFLite, int8, engine) is from another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from allnet_edge.errors import DataError
from allnet_edge.measure.metrics import BoolArray, FloatArray, finite

Direction = Literal["positive_to_negative", "negative_to_positive"]

_CLIP = 1e-7  # float32 has no probability nearer to 1 than 6e-8, so a logit beyond 16 is rounding


@dataclass(frozen=True, slots=True)
class Agreement:
    """Differences of probabilities between a reference and a candidate on the same cells.

    Attributes:
        n: Cells.
        max_abs: Largest absolute difference of a probability.
        mean_abs: Mean absolute difference.
        logit_snr_db: 10 log10(sum of squared reference logits over sum of squared logit errors), in
            dB; None where the logits are equal, since the ratio is then infinite.
        flips: Cells whose decision differs.
    """

    n: int
    max_abs: float
    mean_abs: float
    logit_snr_db: float | None
    flips: int


@dataclass(frozen=True, slots=True)
class Flip:
    """A cell that the edge network calls otherwise than the float network.

    Attributes:
        id: Sample id.
        label: True for a positive cell.
        float_score: Probability of the positive class, 0..1.
        edge_score: Likewise.
        direction: From the float network's decision to the edge network's.
    """

    id: str
    label: bool
    float_score: float
    edge_score: float
    direction: Direction

    @property
    def harmful(self) -> bool:
        """Whether the float network was right, so that the flip is an error."""
        return self.label == (self.direction == "positive_to_negative")


def compare(
    reference: FloatArray,
    candidate: FloatArray,
    *,
    threshold: float = 0.5,
    candidate_threshold: float | None = None,
) -> Agreement:
    """Compare probabilities.

    Args:
        reference: Probabilities ``(n,)`` or ``(n, 1)`` of the positive class, or ``(n, k)`` of k
            classes, whose decision is the largest.
        candidate: Same shape.
        threshold: Of the reference; for one probability a cell.
        candidate_threshold: Of the candidate; the reference's where None.

    Raises:
        DataError: Shapes that differ, no cell, or values that are not finite.
    """
    first = np.asarray(reference, dtype=np.float64)
    second = np.asarray(candidate, dtype=np.float64)
    if first.shape != second.shape or not first.size or first.ndim not in (1, 2):
        raise DataError(f"cannot compare outputs of shapes {first.shape} and {second.shape}")
    for name, values in (("reference outputs", first), ("candidate outputs", second)):
        finite(values.ravel(), name)
    apart = np.abs(first - second)
    own = threshold if candidate_threshold is None else candidate_threshold
    return Agreement(
        n=first.shape[0],
        max_abs=float(apart.max()),
        mean_abs=float(apart.mean()),
        logit_snr_db=_snr_db(logits(first), logits(second)),
        flips=int((_decide(first, threshold) != _decide(second, own)).sum()),
    )


def list_flips(
    ids: Sequence[str],
    labels: BoolArray,
    float_scores: FloatArray,
    edge_scores: FloatArray,
    *,
    float_threshold: float,
    edge_threshold: float,
) -> tuple[Flip, ...]:
    """Every cell whose decision differs, the most dangerous first.

    Order: positive cells that are now missed, then all others; within each the largest change of
    the probability first.

    Raises:
        DataError: Lengths that differ, or scores that are not finite.
    """
    before, after = finite(float_scores, "float scores"), finite(edge_scores, "edge scores")
    truth = np.asarray(labels, dtype=np.bool_).reshape(-1)
    if not len(ids) == truth.size == before.size == after.size:
        raise DataError(
            f"{len(ids)} ids, {truth.size} labels, {before.size} float scores and {after.size} "
            "edge scores are not of the same cells"
        )
    was = before >= float_threshold
    flips = [
        Flip(
            id=ids[i],
            label=bool(truth[i]),
            float_score=float(before[i]),
            edge_score=float(after[i]),
            direction="positive_to_negative" if was[i] else "negative_to_positive",
        )
        for i in np.flatnonzero(was != (after >= edge_threshold)).tolist()
    ]
    return tuple(sorted(flips, key=_danger))


def _danger(flip: Flip) -> tuple[bool, float, str]:
    missed = flip.label and flip.direction == "positive_to_negative"
    return (not missed, -abs(flip.edge_score - flip.float_score), flip.id)


def _decide(values: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.int64]:
    if values.ndim == 2 and values.shape[1] > 1:
        return np.asarray(values.argmax(axis=1), dtype=np.int64)
    return (values.reshape(-1) >= threshold).astype(np.int64)


def logits(values: FloatArray) -> npt.NDArray[np.float64]:
    """ln(p / (1 - p)) of probabilities, those within 1e-7 of 0 or 1 cut there."""
    inside = np.clip(np.asarray(values, np.float64), _CLIP, 1 - _CLIP)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def _snr_db(reference: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float | None:
    noise = float(np.square(reference - other).sum())
    signal = float(np.square(reference).sum())
    if noise == 0:
        return None
    return 10 * math.log10(max(signal, 1e-300) / noise)  # a reference of 0.5 everywhere has none
