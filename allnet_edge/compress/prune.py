"""Magnitude pruning with tensorflow-model-optimization: unstructured, or 2:4 on input channels.

Zhu & Gupta 2017 (arXiv 1710.01878) for the schedule, Mishra et al. 2021 (arXiv 2104.08378) for 2:4.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import tensorflow_model_optimization as tfmot
import tf_keras

from allnet_edge.compress.sparsity import eligible_for_2_4, share_of_valid_blocks, sparsity
from allnet_edge.data.batches import ImageBatches, Labels, Pixels, shuffled
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
    """Zero weights by magnitude and fine-tune the rest.

    Args:
        model: Trained tf-keras network; it is left as it was.
        paths: Training images, and ``labels`` their class indices.

    Returns:
        Weights of the same network, with zeros.

    Raises:
        ConversionError: A layer that should be 2:4 sparse is not.
    """
    tf_keras.utils.set_random_seed(seed)
    steps = math.ceil(len(paths) / batch_size) * settings.epochs
    wrapped = tf_keras.models.clone_model(
        model, clone_function=lambda layer: _wrap(layer, settings, steps)
    )
    _copy_weights(model, wrapped)
    wrapped.compile(
        optimizer=tf_keras.optimizers.Adam(settings.learning_rate),
        loss="binary_crossentropy" if spec.units == 1 else "sparse_categorical_crossentropy",
    )
    for epoch in range(1, settings.epochs + 1):
        batches = ImageBatches(
            paths,
            labels,
            spec.preprocess,
            batch_size,
            order=shuffled(len(paths), (seed, epoch)),
            augment="dihedral",
            seed=(seed, epoch),
        )
        title = f"fine-tuning epoch {epoch}/{settings.epochs}"
        wrapped.fit(
            _Sequence(batches),
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=[
                _PRUNING.UpdatePruningStep(),
                _Watcher(progress, title, len(batches)),
            ],
        )
    arrays = arrays_of(_PRUNING.strip_pruning(wrapped))
    if settings.kind == "2:4":
        _require_2_4(arrays)
    return arrays


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


class _Sequence(tf_keras.utils.Sequence):  # type: ignore[misc]  # tf_keras ships no types
    """Hands ``ImageBatches`` to tf-keras."""

    def __init__(self, batches: ImageBatches) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> tuple[Pixels, Labels]:
        return self._batches[number]


class _Watcher(tf_keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras ships no types
    """Passes tf-keras' batches on as progress."""

    def __init__(self, progress: Progress, title: str, batches: int) -> None:
        super().__init__()
        self._progress, self._title, self._batches = progress, title, batches

    def on_train_batch_end(
        self,
        batch: int,
        logs: dict[str, float] | None = None,  # noqa: ARG002 - tf-keras passes it by name
    ) -> None:
        self._progress(self._title, batch + 1, self._batches)


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
