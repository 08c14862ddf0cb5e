"""Structured pruning: a smaller dense network of the same kind, from the channels that matter most.

Rank the units of the channel graph, remove those that matter least for what they save, slice the
weights, take the averages of the batch norms anew, and fine-tune towards the answers of the network
that it came from; in one step, or in several with an epoch between them.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt
import tf_keras

from allnet_edge.compress.batch_norms import renew_averages
from allnet_edge.compress.channel_choice import Choice, choose_channels
from allnet_edge.compress.channel_graph import channel_graph
from allnet_edge.compress.finetune import (
    EpochAgreement,
    FineTuning,
    Referee,
    fine_tune,
    renewing,
    start,
    told,
)
from allnet_edge.compress.importance import Kind, bn_scale, taylor
from allnet_edge.compress.rebuild import channels_left, without_channels
from allnet_edge.compress.teacher import Teacher
from allnet_edge.compress.turned import LabelledImages, TurnedBatches
from allnet_edge.data.batches import Labels
from allnet_edge.models.storage.size import macs_of, parameters_of
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.models.towers.narrowed import narrowed
from allnet_edge.progress import Progress, silent

_KERAS: ModuleType = tf_keras
_RANKED = 256  # images that the importance is taken from
_PER_GRADIENT = 8  # images; few, since the importance is the mean of a square over the batches


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left, and how it is chosen.

    Attributes:
        macs: Share of the multiply-accumulates kept at most, 0..1.
        importance: How units are ranked.
        steps: Over how many steps, each removing the same share of what is left.
    """

    macs: float
    importance: Kind = "taylor"
    steps: int = 1


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """What pruning did.

    Attributes:
        macs, parameters: Before and after.
        channels: For each layer that lost some: before and after.
        left: For each layer that was left whole because it had to be: why.
        before_tuning: Validation figures of the sliced network of the last step, as in
            ``EpochAgreement``; empty without validation images.
        epochs: All epochs of fine-tuning, of all steps.
    """

    macs: tuple[int, int]
    parameters: tuple[int, int]
    channels: dict[str, tuple[int, int]]
    left: dict[str, str]
    before_tuning: dict[str, float]
    epochs: tuple[EpochAgreement, ...]

    def to_json(self) -> dict[str, object]:
        """The same as plain data."""
        return dataclasses.asdict(self)


def prune_channels(
    model: tf_keras.Model,
    budget: Budget,
    images: LabelledImages,
    tuning: FineTuning,
    *,
    teacher: Teacher | None = None,
    referee: Referee | None = None,
    progress: Progress = silent,
) -> tuple[tf_keras.Model, ChannelReport]:
    """Remove channels to a budget and fine-tune what is left.

    Args:
        model: Trained tf-keras network; it is left as it was.
        images: The training part.
        tuning: Of the last step; every step before it is followed by one epoch of the same.
        teacher: Whose answers are kept; None for those of ``model``.

    Returns:
        The smaller network with its weights, and what was done. The channel counts that
        ``NetworkSpec.channels`` needs are the second ones of ``report.channels``.

    Raises:
        RecipeError: The budget cannot be met; it names the closest.
    """
    start(tuning.seed)
    macs = macs_of(model)
    teacher = teacher or Teacher(model, len(images.source), int(model.output.shape[-1]))
    student, epochs = model, list[EpochAgreement]()
    for step in range(1, budget.steps + 1):
        target = int(macs * budget.macs ** (step / budget.steps))
        student, choice = _narrower(
            student,
            target,
            images,
            tuning,
            unpruned=macs,
            importance=budget.importance,
            progress=progress,
        )
        sliced = referee.judge(student) if referee else {}
        if sliced:
            progress(f"sliced, step {step}/{budget.steps}: {told(sliced)}", 1, 1)
        epochs += fine_tune(
            student,
            teacher,
            images,
            tuning if step == budget.steps else dataclasses.replace(tuning, epochs=1),
            referee=referee,
            progress=progress,
        )
    renew_averages(student, renewing(images, tuning))
    before, after = _counts(model), _counts(student)
    return student, ChannelReport(
        macs=(macs, macs_of(student)),
        parameters=(parameters_of(model), parameters_of(student)),
        channels={n: (before[n], after[n]) for n in before if before[n] != after[n]},
        left=choice.left,
        before_tuning=sliced,
        epochs=tuple(epochs),
    )


def _narrower(
    model: tf_keras.Model,
    target: int,
    images: LabelledImages,
    tuning: FineTuning,
    *,
    unpruned: int,
    importance: Kind,
    progress: Progress,
) -> tuple[tf_keras.Model, Choice]:
    """The network sliced to ``target`` multiply-accumulates, not yet fine-tuned."""
    graph = channel_graph(model)
    if importance == "bn-scale":
        ranks = bn_scale(arrays_of(model), graph)
    else:
        turned = TurnedBatches(images, _PER_GRADIENT, (tuning.seed, 0), most=_RANKED)
        ranks = taylor(model, graph, _counted(turned, progress))
    choice = choose_channels(graph, ranks, target, unpruned=unpruned)
    small = narrowed(_KERAS, model, channels_left(graph, choice.kept))
    assign(small, without_channels(arrays_of(model), graph, choice.kept))
    renew_averages(small, renewing(images, tuning))
    return small, choice


def _counted(
    batches: TurnedBatches, progress: Progress
) -> Iterator[tuple[npt.NDArray[np.float32], Labels]]:
    """Pixels and labels, with progress."""
    for number, batch in enumerate(batches, start=1):
        yield batch.pixels, batch.labels
        progress("importance of channels", number, len(batches))


def _counts(model: tf_keras.Model) -> dict[str, int]:
    """Filters or units of every layer that has them."""
    return {
        layer.name: int(count)
        for layer in model.layers
        for count in [getattr(layer, "filters", None) or getattr(layer, "units", None)]
        if count is not None
    }
