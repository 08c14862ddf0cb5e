"""Pruning as a recipe asks for it: one entry for every kind."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import tf_keras

from allnet_edge.compress.channels import Budget, ChannelReport, prune_channels
from allnet_edge.compress.deployed_rows import deployed_rows
from allnet_edge.compress.finetune import EpochAgreement, FineTuning, Referee
from allnet_edge.compress.prune import KernelReport, Pattern, prune, report
from allnet_edge.compress.teacher import Teacher
from allnet_edge.compress.turned import LabelledImages
from allnet_edge.data.decode_threads import DecodedByThreads
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.models.storage.weights import Arrays, arrays_of
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.network import NetworkSpec
from allnet_edge.spec.recipe import PruneSpec


@dataclass(frozen=True, slots=True)
class LabelledFiles:
    """Image files and the class index of each."""

    paths: Sequence[Path]
    labels: Sequence[int]


@dataclass(frozen=True, slots=True)
class Pruned:
    """A pruned network.

    Attributes:
        spec: What to build for the weights: with ``channels`` where some were removed.
        kernels: For each kernel its share of zeros and of valid 2:4 blocks.
        channels: What the removal of channels did; None where there was none.
        epochs: Fine-tuning of the zeros; that of the channels is in ``channels``.
    """

    arrays: Arrays
    spec: NetworkSpec
    kernels: KernelReport
    channels: ChannelReport | None
    epochs: tuple[EpochAgreement, ...]

    def to_json(self) -> dict[str, object]:
        """All but weights and spec as plain data."""
        return {
            "kernels": self.kernels,
            "channels": None if self.channels is None else self.channels.to_json(),
            "epochs": [dataclasses.asdict(epoch) for epoch in self.epochs],
        }


def apply_pruning(
    model: tf_keras.Model,
    spec: NetworkSpec,
    settings: PruneSpec,
    training: LabelledFiles,
    validation: LabelledFiles | None = None,
    *,
    batch_size: int = 32,
    seed: int = 0,
    progress: Progress = silent,
) -> Pruned:
    """Prune a network and fine-tune it towards its own former answers.

    Args:
        model: Trained tf-keras network of ``spec``; it is left as it was.
        validation: Judged after every epoch, and used for nothing else.

    Raises:
        RecipeError: The budget of multiply-accumulates cannot be met; it names the closest.
        ConversionError: A layer that should be 2:4 sparse is not.
    """
    tuning = FineTuning(settings.epochs, settings.learning_rate, settings.distil, batch_size, seed)
    teacher = Teacher(model, len(training.paths), spec.units)
    told: ChannelReport | None = None
    epochs: tuple[EpochAgreement, ...] = ()
    with ExitStack() as held:
        images = held.enter_context(opened(training, spec))
        judged = held.enter_context(opened(validation, spec)) if validation else None
        referee = Referee(model, judged, batch_size)
        if settings.kind == "channels":
            budget = Budget(settings.macs, settings.importance, settings.steps)
            model, told = prune_channels(
                model, budget, images, tuning, teacher=teacher, referee=referee, progress=progress
            )
            left = {name: after for name, (_, after) in told.channels.items()}
            spec = spec.model_copy(update={"channels": {**spec.channels, **left}})
        arrays = arrays_of(model)
        pattern = _pattern(settings)
        if pattern is not None:
            arrays, epochs = prune(
                model, pattern, images, tuning, teacher=teacher, referee=referee, progress=progress
            )
    return Pruned(arrays, spec, report(arrays, deployed_rows(model)), told, epochs)


def _pattern(settings: PruneSpec) -> Pattern | None:
    """Of the zeros; None where no weight is zeroed."""
    if settings.kind == "2:4" or (settings.kind == "channels" and settings.two_of_four):
        return "2:4"
    return settings.sparsity if settings.kind == "unstructured" else None


@contextmanager
def opened(files: LabelledFiles, spec: NetworkSpec) -> Iterator[LabelledImages]:
    """The images as the network wants them, decoded by threads as long as they are in use."""
    with DecodedByThreads(ImageFiles(files.paths, spec.preprocess)) as source:
        yield LabelledImages(source, files.labels)
