"""What it costs a network to lose a unit, for every unit of its channel graph."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from allnet_edge.compress.channel_graph import ChannelGraph
from allnet_edge.compress.copied import copied
from allnet_edge.data.batches import Labels
from allnet_edge.models.storage.weights import Arrays

Importance = npt.NDArray[np.float64]
"""[units], never negative; NaN where the measure says nothing of a unit."""

Kind = Literal["taylor", "bn-scale"]
_LOGITS = "logits"


def taylor(
    model: tf_keras.Model,
    graph: ChannelGraph,
    batches: Iterable[tuple[npt.NDArray[np.float32], Labels]],
) -> Importance:
    """First-order Taylor importance (Molchanov et al. 2019, arXiv 1906.10771).

    The loss changes by ``-sum(a * dL/da)`` to first order where the channel ``a`` is removed. At
    the layers that read a unit this equals the sum of ``w * dL/dw`` over the slices of their
    kernels that read it, so that one gradient of the weights measures all units at once, behind
    the batch norm and the ReLU of each. The sum over all readers is squared, and averaged over the
    batches. Batch norms answer as in use, and nothing is dropped out.

    Args:
        model: Trained tf-keras network with a layer ``logits``; it is left as it was.
        graph: Of this network.
        batches: Pixels float32 [b, size, size, 3] in 0..255 and class indices float32 [b, 1].
    """
    still = copied(model, _without_noise)
    reads = {
        name: one.reads
        for name, one in graph.layers.items()
        if one.reads is not None and not one.ties
    }
    contributions = _contributions(still, [still.get_layer(name) for name in reads])
    total, count = np.zeros(graph.count), 0
    for pixels, labels in batches:
        score = np.zeros(graph.count)
        for units, change in zip(reads.values(), contributions(pixels, labels), strict=True):
            np.add.at(score, units, change.numpy())
        total += score**2
        count += 1
    if not count:
        raise ValueError("there are no batches to take the importance of channels from")
    return total / count


def bn_scale(arrays: Arrays, graph: ChannelGraph) -> Importance:
    """Sum of the absolute scales of the batch norms that a unit passes (Liu et al. 2017).

    NaN for a unit that passes none, or only batch norms without a scale, as in InceptionV3: such a
    unit is left alone.
    """
    total, passed = np.zeros(graph.count), np.zeros(graph.count, bool)
    for name, layer in graph.layers.items():
        if f"{name}/gamma" in arrays:
            np.add.at(total, layer.writes, np.abs(arrays[f"{name}/gamma"]).astype(np.float64))
            passed[layer.writes] = True
    return np.where(passed, total, np.nan)


def _without_noise(layer: tf_keras.layers.Layer) -> tf_keras.layers.Layer:
    """A batch norm that keeps its averages and a dropout that drops nothing.

    The network is then applied as in training: only so a grouped convolution has a gradient that
    is quick on a CPU.
    """
    config = layer.get_config()
    if isinstance(layer, tf_keras.layers.Dropout):
        config["rate"] = 0.0
    copy = layer.__class__.from_config(config)
    if isinstance(layer, tf_keras.layers.BatchNormalization):
        copy.trainable = False
    return copy


def _contributions(model: tf_keras.Model, layers: list[tf_keras.layers.Layer]) -> tf.function:
    """A function from a batch to one [input channels] a layer: the sums of ``w * dL/dw``."""
    inner = tf_keras.Model(model.input, model.get_layer(_LOGITS).output)
    kernels = [layer.kernel for layer in layers]

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def contributions(pixels: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(kernels)
            logits = inner(pixels, training=True)
            loss = tf.reduce_mean(_cross_entropy(logits, labels))
        gradients = tape.gradient(loss, kernels)
        return [
            tf.reduce_sum(
                kernel * gradient, axis=[axis for axis in range(rank) if axis != rank - 2]
            )
            for kernel, gradient in zip(kernels, gradients, strict=True)
            for rank in (len(kernel.shape),)
        ]

    return contributions


def _cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """From logits: probabilities that round to 0 or 1 would have no gradient."""
    if logits.shape[-1] == 1:
        return tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        tf.cast(tf.squeeze(labels, -1), tf.int32), logits
    )
