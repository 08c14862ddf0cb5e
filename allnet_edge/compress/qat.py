"""Quantization-aware training: a float network that has learned to be rounded to int8.

Jacob et al. 2018 (arXiv 1712.05877). What comes out is a plain float network and a range for every
tensor, so that both int8 forms are exported as any network is, with these ranges in place of those
of a calibration (``convert/names_of_layers``).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

from allnet_edge.compress.finetune import EpochAgreement, FineTuning, Referee, fine_tune, start
from allnet_edge.compress.qat_network import QatNetwork, qat_network
from allnet_edge.compress.qat_placement import Form, QatPlacement, place
from allnet_edge.compress.teacher import Teacher
from allnet_edge.compress.turned import LabelledImages, TurnedBatches
from allnet_edge.errors import ConversionError
from allnet_edge.models.storage.weights import Arrays
from allnet_edge.progress import Progress, silent

_CALIBRATION = 256


class LearnedRange(NamedTuple):
    """Of a layer's output, symmetric around 0; its high end is 127 steps."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class QatResult:
    """What came out.

    Attributes:
        arrays: Weights of the plain float network.
        ranges: By layer, in the order of the network, for every output that an int8 form holds; a
            convolution that a batch norm is folded into has that of the norm.
        epochs: What each epoch did; judged on the network with fake quantization.
    """

    arrays: Arrays
    ranges: dict[str, LearnedRange]
    epochs: tuple[EpochAgreement, ...]


def train_quantized(
    model: tf_keras.Model,
    images: LabelledImages,
    tuning: FineTuning,
    *,
    initial: Mapping[str, float] | None = None,
    averages_until: float = 0.5,
    teacher: Teacher | None = None,
    referee: Referee | None = None,
    progress: Progress = silent,
) -> QatResult:
    """Fine-tune a network, rounded as full-int8 TFLite rounds it, towards its float answers.

    That form rounds all that the ONNX form rounds, and more. Kernels are rounded for each output
    channel at max|w| / 127 in every step; the ranges of tensors start as calibrated and are learned
    by gradient, those that share a scale together. Zeros of a pruned kernel stay zero.

    Args:
        model: Trained tf-keras network; it is left as it was.
        images: The training part.
        tuning: No epoch at all only calibrates.
        initial: Magnitude of each layer's output; None takes the largest on 256 training images.
        averages_until: Share of the steps after which batch norms use their averages, 0..1.
        teacher: Whose answers are kept; None for those of ``model``.

    Raises:
        ConversionError: A layer of a kind that is not known here, or activations that are NaN.
    """
    start(tuning.seed)
    placement = place(model)
    found = initial or largest_outputs(model, placement.group, _calibration(images, tuning))
    network = qat_network(model, placement, _of_groups(placement, found))
    epochs: tuple[EpochAgreement, ...] = ()
    if tuning.epochs:
        steps = math.ceil(len(images.source) / tuning.batch_size) * tuning.epochs
        keeper = _Keeper(network, round(averages_until * steps))
        epochs = fine_tune(
            network.model,
            teacher or Teacher(model, len(images.source), int(model.output.shape[-1])),
            images,
            tuning,
            masks=keeper,
            referee=referee,
            progress=progress,
        )
        keeper.keep_zeros()
    learned = {leader: step.largest for leader, step in network.steps.items()}
    return QatResult(network.arrays(), _by_layer(model, placement, learned), epochs)


def as_rounded(
    model: tf_keras.Model, ranges: Mapping[str, LearnedRange], form: Form
) -> tf_keras.Model:
    """A plain network with fake quantization where one int8 form rounds: what it will answer.

    Args:
        model: The network with the weights of `QatResult.arrays`; left as it was.
        ranges: Of the same result.

    Returns:
        From pixels float32 [n, size, size, 3] in 0..255 to probabilities, for inference.
    """
    placement = place(model, form)
    largest = {leader: ranges[leader].high for leader in placement.group.values()}
    return qat_network(model, placement, largest).model


def largest_outputs(
    model: tf_keras.Model, layers: Iterable[str], batches: Iterable[npt.NDArray[np.float32]]
) -> dict[str, float]:
    """The largest magnitude of each layer's output over images.

    Args:
        batches: Pixels float32 [b, size, size, 3] in 0..255.

    Raises:
        ConversionError: One is NaN or infinite.
    """
    names = list(layers)
    probe = tf_keras.Model(model.inputs, [model.get_layer(name).output for name in names])

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def largest(pixels: tf.Tensor) -> tf.Tensor:
        return tf.stack([_magnitude(one) for one in probe(pixels, training=False)])

    found = np.zeros(len(names), np.float32)
    for pixels in batches:
        found = np.maximum(found, largest(tf.constant(pixels)).numpy())
    for name, value in zip(names, found, strict=True):
        if not np.isfinite(value):
            raise ConversionError(
                f"'{name}' is NaN or infinite on a training image",
                fix="the float network is broken: look at its training, and train it again",
            )
    return {name: float(value) for name, value in zip(names, found, strict=True)}


def _magnitude(values: tf.Tensor) -> tf.Tensor:
    # The maximum alone would pass over a NaN.
    finite = tf.reduce_all(tf.math.is_finite(values))
    return tf.where(finite, tf.reduce_max(tf.abs(values)), np.nan)


class _Keeper(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras ships no types
    """Keeps zeros zero, and freezes the averages of batch norms after so many steps."""

    def __init__(self, network: QatNetwork, freeze_at: int) -> None:
        super().__init__()
        self._network, self._freeze_at, self._step = network, freeze_at, 0
        self._masks = [
            (variable, tf.cast(variable != 0, variable.dtype))
            for name, variable in network.plain.items()
            if name.endswith("/kernel") and not variable.numpy().all()
        ]

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        if self._step == self._freeze_at:
            self._network.freeze_norms()
        self._step += 1
        self.keep_zeros()

    def keep_zeros(self) -> None:
        for variable, mask in self._masks:
            variable.assign(variable * mask)


def _calibration(images: LabelledImages, tuning: FineTuning) -> Iterable[npt.NDArray[np.float32]]:
    # Pass 0 is none of the epochs.
    turned = TurnedBatches(images, tuning.batch_size, (tuning.seed, 0), most=_CALIBRATION)
    return (batch.pixels for batch in turned)


def _of_groups(placement: QatPlacement, largest: Mapping[str, float]) -> dict[str, float]:
    """The largest magnitude in each group of tensors, by its leader."""
    found: dict[str, float] = {}
    for name, leader in placement.group.items():
        found[leader] = max(found.get(leader, 0.0), largest.get(name, 0.0))
    return found


def _by_layer(
    model: tf_keras.Model, placement: QatPlacement, learned: Mapping[str, float]
) -> dict[str, LearnedRange]:
    found = {}
    for layer in model.layers:
        leader = placement.group.get(placement.folded.get(layer.name, layer.name))
        if leader is not None:
            found[layer.name] = LearnedRange(-learned[leader], learned[leader])
    return found
