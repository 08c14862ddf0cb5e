"""The uncertain band: probabilities so near to the threshold that a device should not decide."""

import numpy as np

from allnet_edge.measure.metrics import FloatArray

SHARE = 0.05


def fit_band(
    scores: FloatArray, threshold: float, share: float = SHARE
) -> tuple[float, float] | None:
    """The band around the threshold that holds ``share`` of the validation cells.

    Nearness is measured in logits, in which a network's scores are spread evenly; the cells
    nearest to the threshold are abstained on, whatever their label.

    Args:
        scores: Probabilities of validation cells, float [n].
        threshold: The candidate's.

    Returns:
        (low, high) with ``low <= threshold <= high``; None where no cell would fall into it.
    """
    values = np.asarray(scores, np.float64).ravel()
    count = int(share * values.size)
    if count == 0 or not np.isfinite(threshold):
        return None
    distance = np.abs(_logit(values) - _logit(np.array(threshold)))
    nearest = values[np.argsort(distance, kind="stable")[:count]]
    return float(min(nearest.min(), threshold)), float(max(nearest.max(), threshold))


def _logit(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    clipped = np.clip(values, 1e-7, 1 - 1e-7)
    return np.log(clipped / (1 - clipped))
