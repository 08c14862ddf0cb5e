"""Magnitude pruning with tensorflow-model-optimization: unstructured, or 2:4 on input channels.

Zhu & Gupta 2017 (arXiv 1710.01878) for the schedule, Mishra et al. 2021 (arXiv 2104.08378) for 2:4.
"""

import math
from collections.abc import Mapping
from typing import Literal

import tensorflow_model_optimization as tfmot
import tf_keras

from allnet_edge.compress.batch_norms import renew_averages
from allnet_edge.compress.copied import copied
from allnet_edge.compress.deployed_rows import (
    FlattenAsDeployed,
    Rows,
    deployed_rows,
    flattens_a_map,
)
from allnet_edge.compress.finetune import (
    EpochAgreement,
    FineTuning,
    Referee,
    fine_tune,
    renewing,
    start,
)
from allnet_edge.compress.sparsity import eligible_for_2_4, share_of_valid_blocks, sparsity
from allnet_edge.compress.teacher import Teacher
from allnet_edge.compress.turned import LabelledImages
from allnet_edge.errors import ConversionError
from allnet_edge.models.storage.weights import Arrays, arrays_of
from allnet_edge.models.towers.api import Layer
from allnet_edge.progress import Progress, silent

_PRUNING = tfmot.sparsity.keras
_KERNELS = (tf_keras.layers.Conv2D, tf_keras.layers.Dense)

Pattern = Literal["2:4"] | float
"""``2:4``, or the share of zeros of unstructured pruning, between 0 and 1."""

KernelReport = dict[str, dict[str, float | None]]


def prune(
    model: tf_keras.Model,
    pattern: Pattern,
    images: LabelledImages,
    tuning: FineTuning,
    *,
    teacher: Teacher | None = None,
    referee: Referee | None = None,
    progress: Progress = silent,
) -> tuple[Arrays, tuple[EpochAgreement, ...]]:
    """Zero weights by magnitude and fine-tune the rest towards the network's own former answers.

    Args:
        model: Trained tf-keras network; it is left as it was.
        images: The training part.
        teacher: Whose answers are kept; None for those of ``model``.

    Returns:
        Weights of the same network, with zeros, and what each epoch did.

    Raises:
        ConversionError: A layer that should be 2:4 sparse is not.
    """
    start(tuning.seed)
    steps = math.ceil(len(images.source) / tuning.batch_size) * tuning.epochs
    rows = deployed_rows(model)
    wrapped = copied(model, lambda layer: _wrap(layer, pattern, steps))
    for name, order in rows.items():
        kernel = _inner(wrapped, name).kernel
        kernel.assign(kernel.numpy()[order])
    epochs = fine_tune(
        wrapped,
        teacher or Teacher(model, len(images.source), int(model.output.shape[-1])),
        images,
        tuning,
        masks=_PRUNING.UpdatePruningStep(),
        referee=referee,
        progress=progress,
    )
    plain = _PRUNING.strip_pruning(wrapped)
    renew_averages(plain, renewing(images, tuning))
    arrays = arrays_of(plain)
    for name, order in rows.items():
        kernel = arrays[f"{name}/kernel"].copy()
        kernel[order] = arrays[f"{name}/kernel"]
        arrays[f"{name}/kernel"] = kernel
    if pattern == "2:4":
        _require_2_4(report(arrays, rows))
    return arrays, epochs


def report(arrays: Arrays, rows: Mapping[str, Rows]) -> KernelReport:
    """For each kernel its share of zeros, and of valid 2:4 blocks where it is eligible.

    Args:
        rows: From ``deployed_rows``: the blocks are those that the device sees.
    """
    found: KernelReport = {}
    for name, array in arrays.items():
        layer, _, variable = name.partition("/")
        if variable == "kernel":
            seen = array[rows[layer]] if layer in rows else array
            valid = share_of_valid_blocks(seen) if eligible_for_2_4(seen.shape) else None
            found[name] = {
                "weights": int(seen.size), "sparsity": sparsity(seen), "valid_2_4": valid,
            }  # fmt: skip
    return found


def _wrap(layer: tf_keras.layers.Layer, pattern: Pattern, steps: int) -> Layer:
    """The layer with pruning around it, or a plain copy where it does not apply."""
    if isinstance(layer, tf_keras.layers.Flatten) and flattens_a_map(layer):
        return FlattenAsDeployed.from_config(layer.get_config())  # type: ignore[no-any-return]
    copy = layer.__class__.from_config(layer.get_config())
    if not isinstance(layer, _KERNELS) or not eligible_for_2_4(tuple(layer.kernel.shape)):
        return copy  # type: ignore[no-any-return]  # tf_keras ships no types
    if pattern == "2:4":
        schedule = _PRUNING.ConstantSparsity(0.5, begin_step=0, frequency=1)
        return _PRUNING.prune_low_magnitude(  # type: ignore[no-any-return]
            copy, schedule, sparsity_m_by_n=(2, 4)
        )
    schedule = _PRUNING.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=pattern,
        begin_step=0,
        end_step=max(1, steps // 2),
        frequency=1,
    )
    return _PRUNING.prune_low_magnitude(copy, schedule)  # type: ignore[no-any-return]


def _inner(wrapped: tf_keras.Model, name: str) -> tf_keras.layers.Layer:
    """The layer of that name, out of its wrapper."""
    layers = (getattr(layer, "layer", layer) for layer in wrapped.layers)
    return next(layer for layer in layers if layer.name == name)


def _require_2_4(kernels: KernelReport) -> None:
    for name, shares in kernels.items():
        valid = shares["valid_2_4"]
        if valid is not None and valid < 1:
            raise ConversionError(
                f"'{name}' has only {valid:.1%} valid 2:4 blocks after pruning",
                fix="this is a fault of the pruning library's version; please report it",
            )
