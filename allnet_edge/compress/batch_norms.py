"""The averages of batch norms, taken anew.

Whoever changes what a batch norm reads leaves it with the averages of other maps. Those of the
moving kind follow within some steps, but remember few batches; averages over many batches with the
weights standing still are exact (PreciseBN: Wu & Johnson 2021, arXiv 2105.07576).
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras


def renew_averages(model: tf_keras.Model, batches: Iterable[npt.NDArray[np.float32]]) -> None:
    """Set every moving mean and variance of a network to those of these images, in place.

    Args:
        batches: Pixels float32 [b, size, size, 3] in 0..255; batches of one image are passed over,
            since they have no variance on a map of 1x1.
    """
    norms = [n for n in model.layers if isinstance(n, tf_keras.layers.BatchNormalization)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # the moving values are then those of the last batch

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def observe(pixels: tf.Tensor) -> None:
        model(pixels, training=True)

    # E[x] and E[x^2] of each channel.
    sums = [np.zeros((2, norm.moving_mean.shape[0])) for norm in norms]
    count = 0
    try:
        for pixels in batches:
            if len(pixels) > 1:
                observe(pixels)
                count += 1
                for total, norm in zip(sums, norms, strict=True):
                    mean = norm.moving_mean.numpy().astype(np.float64)
                    total[:] += (mean, norm.moving_variance.numpy() + mean**2)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    if not count:
        raise ValueError("there is no batch of two images or more to take averages from")
    for total, norm in zip(sums, norms, strict=True):
        mean, square = total / count
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(np.maximum(square - mean**2, 0.0))
