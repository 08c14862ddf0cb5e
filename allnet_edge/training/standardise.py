"""Mean and standard deviation of a training set."""

import numpy as np

from allnet_edge.data.batches import ImageBatches
from allnet_edge.data.pixels import PixelSource
from allnet_edge.errors import DataError
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.network import Preprocess


def fit_standardisation(
    source: PixelSource,
    preprocess: Preprocess,
    *,
    per_channel: bool = False,
    progress: Progress = silent,
) -> Preprocess:
    """Return ``preprocess`` with the mean and sd of these images' pixels (0..255).

    Exact integer sums, so that the order and the number of batches change nothing.

    Raises:
        DataError: All pixels are equal.
    """
    count, total, squares = 0, np.zeros(3, np.int64), np.zeros(3, np.int64)
    done = 0
    for batch, _, _ in ImageBatches(source, np.zeros(len(source), np.int64), 64):
        histogram = [np.bincount(batch[..., c].ravel(), minlength=256) for c in range(3)]
        levels = np.arange(256, dtype=np.int64)
        total += np.array([h @ levels for h in histogram])
        squares += np.array([h @ levels**2 for h in histogram])
        count += batch[..., 0].size
        done += len(batch)
        progress("mean and sd", done, len(source))
    if not per_channel:
        count, total, squares = 3 * count, total.sum(keepdims=True), squares.sum(keepdims=True)
    mean = total / count
    sd = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    if sd.min() <= 0:
        raise DataError("all pixels of the training set are equal: nothing to learn from")
    # Six decimals are far below one grey level and keep the JSON readable.
    rounded = {
        "mean": tuple(round(float(m), 6) for m in mean),
        "sd": tuple(round(float(s), 6) for s in sd),
    }
    return preprocess.model_copy(update=rounded)
