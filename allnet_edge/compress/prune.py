"""Magnitude pruning with tensorflow-model-optimization: unstructured, or 2:4 on input channels.

Zhu & Gupta 2017 (arXiv 1710.01878) for the schedule, Mishra et al. 2021 (arXiv 2104.08378) for 2:4.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from allnet_edge.compress.sparsity import eligible_for_2_4, share_of_valid_blocks, sparsity
from allnet_edge.data.batches import ImageBatches, Labels, shuffled
from allnet_edge.data.decode_threads import DecodedByThreads
from allnet_edge.data.pixels import ImageFiles, PixelSource
from allnet_edge.errors import ConversionError
from allnet_edge.models.storage.weights import Arrays, arrays_of
from allnet_edge.models.towers.api import KerasModel, Layer
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.network import NetworkSpec
from allnet_edge.spec.recipe import PruneSpec

_PRUNING = tfmot.sparsity.keras
_KERNELS = (tf_keras.layers.Conv2D, tf_keras.layers.Dense)


def prune(
    model: KerasModel,
    spec: NetworkSpec,
    settings: PruneSpec,
    paths: Sequence[Path],
    labels: Sequence[int],
    *,
    batch_size: int = 32,
    seed: int = 0,
    progress: Progress = silent,
) -> Arrays:
    """Zero weights by magnitude and fine-tune the rest towards the network's own former answers.

    Args:
        model: Trained tf-keras network; it is left as it was.
        paths: Training images, and ``labels`` their class indices.

    Returns:
        Weights of the same network, with zeros.

    Raises:
        ConversionError: A layer that should be 2:4 sparse is not.
    """
    tf_keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    steps = math.ceil(len(paths) / batch_size) * settings.epochs
    wrapped = tf_keras.models.clone_model(
        model, clone_function=lambda layer: _wrap(layer, settings, steps)
    )
    _copy_weights(model, wrapped)
    wrapped.compile(
        optimizer=tf_keras.optimizers.Adam(
            tf_keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
        ),
        loss="binary_crossentropy" if spec.units == 1 else "categorical_crossentropy",
    )
    masks = _PRUNING.UpdatePruningStep()
    masks.set_model(wrapped)
    masks.on_train_begin()
    with DecodedByThreads(ImageFiles(paths, spec.preprocess)) as source:
        for epoch in range(1, settings.epochs + 1):
            batches = _Turned(source, labels, batch_size, (seed, epoch))
            for number, (pixels, truth) in enumerate(batches):
                answers = model.predict_on_batch(pixels)
                targets = settings.distil * answers + (1 - settings.distil) * _one_hot(truth, spec)
                masks.on_train_batch_begin(number)
                wrapped.train_on_batch(pixels, targets)
                progress(f"fine-tuning epoch {epoch}/{settings.epochs}", number + 1, len(batches))
            masks.on_epoch_end(epoch)
    arrays = arrays_of(_PRUNING.strip_pruning(wrapped))
    if settings.kind == "2:4":
        _require_2_4(arrays)
    return arrays


class _Turned:
    """One pass over the images in a random order, each in one of its eight symmetries.

    In memory, not in a layer as in training: tfmot clones the network layer by layer.
    """

    def __init__(
        self, source: PixelSource, labels: Sequence[int], batch_size: int, seed: tuple[int, int]
    ) -> None:
        order = shuffled(len(source), seed)
        self._batches = ImageBatches(source, labels, batch_size, order=order)
        self._seed = seed

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.float32], Labels]]:
        """Pixels float32 [b, size, size, 3] in 0..255 and labels float32 [b, 1]."""
        for number, batch in enumerate(self._batches):
            rng = np.random.default_rng((*self._seed, number))
            turned = np.stack([_symmetric(image, rng) for image in batch.pixels])
            yield turned.astype(np.float32), batch.labels


def _symmetric(image: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One of the eight symmetries of the square: cells have no up and no left."""
    image = np.rot90(image, int(rng.integers(4)))
    return image[:, ::-1] if rng.integers(2) else image


def report(arrays: Arrays) -> dict[str, dict[str, float | None]]:
    """For each kernel its share of zeros, and of valid 2:4 blocks where it is eligible."""
    return {
        name: {
            "sparsity": sparsity(array),
            "valid_2_4": share_of_valid_blocks(array) if eligible_for_2_4(array.shape) else None,
        }
        for name, array in arrays.items()
        if name.endswith("/kernel")
    }


def _one_hot(labels: Labels, spec: NetworkSpec) -> Labels:
    """Targets of the network's shape: [n, 1] for a sigmoid, [n, classes] for a softmax."""
    if spec.units == 1:
        return labels
    return np.eye(spec.units, dtype=np.float32)[labels[:, 0].astype(np.int64)]


def _wrap(layer: tf_keras.layers.Layer, settings: PruneSpec, steps: int) -> Layer:
    """The layer with pruning around it, or a plain copy where it does not apply."""
    copy = layer.__class__.from_config(layer.get_config())
    if not isinstance(layer, _KERNELS) or not eligible_for_2_4(tuple(layer.kernel.shape)):
        return copy  # type: ignore[no-any-return]  # tf_keras ships no types
    if settings.kind == "2:4":
        schedule = _PRUNING.ConstantSparsity(0.5, begin_step=0, frequency=1)
        return _PRUNING.prune_low_magnitude(  # type: ignore[no-any-return]
            copy, schedule, sparsity_m_by_n=(2, 4)
        )
    schedule = _PRUNING.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=settings.sparsity,
        begin_step=0,
        end_step=max(1, steps // 2),
        frequency=1,
    )
    return _PRUNING.prune_low_magnitude(copy, schedule)  # type: ignore[no-any-return]


def _copy_weights(source: KerasModel, wrapped: tf_keras.Model) -> None:
    inner = {getattr(layer, "layer", layer).name: layer for layer in wrapped.layers}
    for layer in source.layers:
        target = inner[layer.name]
        plain = getattr(target, "layer", target)
        for variable, value in zip(plain.weights, layer.weights, strict=True):
            variable.assign(value)


def _require_2_4(arrays: Arrays) -> None:
    for name, shares in report(arrays).items():
        valid = shares["valid_2_4"]
        if valid is not None and valid < 1:
            raise ConversionError(
                f"'{name}' has only {valid:.1%} valid 2:4 blocks after pruning",
                fix="this is a fault of the pruning library's version; please report it",
            )
