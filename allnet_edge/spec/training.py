"""What one training run is told."""

import re
from pathlib import Path
from typing import Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from allnet_edge.spec.base import Frozen

Augmentation = Literal["none", "dihedral", "affine"]
Schedule = Literal["constant", "cosine", "step", "exponential"]
Precision = Literal["float32", "bfloat16"]


class LayerRate(Frozen):
    """A learning rate of its own for some layers.

    Attributes:
        layers: Regular expression that the whole layer name has to match.
        learning_rate: Before the schedule.
    """

    layers: str
    learning_rate: float = Field(gt=0, le=1)


class Hint(Frozen):
    """Two layers, the student's of which is to say what the teacher's says.

    Attributes:
        student, teacher: Names of layers whose outputs are maps [n, h, w, channels].
    """

    student: str
    teacher: str


class Distil(Frozen):
    """How a network learns from a trained one.

    The loss of a cell is ``(1 - weight) * cross-entropy of its class + weight * T^2 * KL(teacher at
    T, student at T) + hint_weight * mean error of the hints``. Hinton et al. 2015 (arXiv
    1503.02531) for the soft targets and the factor T^2; Romero et al. 2014 (arXiv 1412.6550) for
    hints. OUR READING: one stage for all, where Romero trains towards the hint first.

    Attributes:
        temperature: T, by which both networks' logits are divided before the softmax. Of two
            classes, whose networks have one sigmoid unit, the logits are 0 and the unit's.
        weight: Share of the soft targets; the rest is the true class.
        hints: ``none``, pairs of layers, or ``auto``: the last maps at each share of the input (a
            half, a quarter...) that both networks have, of the three smallest.
        hint_weight: Of the hints, whose error is relative to the teacher's map: 1 is that of a
            student that says nothing.
    """

    temperature: float = Field(default=4.0, gt=0, le=100)
    weight: float = Field(default=0.9, ge=0, le=1)
    hints: Literal["none", "auto"] | tuple[Hint, ...] = "none"
    hint_weight: float = Field(default=1.0, gt=0, le=1000)


class TrainSettings(Frozen):
    """Settings of ``train`` that decide what comes out; each system's own lie in its recipe.

    The defaults are ALLNet's paper where it states them: input 250, batch 32, 40 epochs, binary
    cross-entropy, the checkpoint at the best validation accuracy, one scalar mean and sd. Adam with
    1e-4 is our reading: it names no optimiser.

    Attributes:
        model: Name of a network.
        width: Channel multiplier.
        weights: Where the weights start: ``none`` (random), ``imagenet``, or a file.
        freeze: Layers whose weights stay as they came; a regular expression for the whole name,
            used only where ``weights`` is given.
        crop: Side of a centre crop before the resize, in pixels; None keeps the image.
        standardise: ``dataset`` takes mean and sd of the training part, ``unit`` scales to 0..1.
        per_channel: Of ``dataset``: standardise each channel by itself.
        learning_rate: Of Adam (Kingma & Ba 2014, arXiv 1412.6980), before the schedule.
        layer_rates: The first entry whose expression matches decides; others have
            ``learning_rate``. Like ``freeze`` for weights that came from elsewhere: random layers
            with a small rate of their own would stay random.
        schedule: ``cosine`` falls to zero over all epochs, so that a run with it cannot be
            prolonged; ``step`` multiplies by ``decay`` every ``decay_every`` EPOCHS;
            ``exponential`` by ``decay`` per ``decay_every`` STEPS, smoothly.
        class_weights: ``negative-share`` weighs every positive cell by the share of negative cells
            (Prellberg & Kramer 2019), two classes only; ``balanced`` by n / (classes * n of class).
        oversample: ``smote`` fills every class of the TRAINING part up to the largest with blends
            of neighbours (Chawla et al. 2002, doi 10.1613/jair.953).
        augment: ``dihedral``: one of the eight symmetries of the square; ``affine``: flips, a turn
            by any angle up to ``rotation`` and a shift; ``none`` is ALLNet's paper. On the
            accelerator, outside the graph that is exported.
        rotation: Largest turn to either side in degrees.
        translation: Largest shift to either side, as a share of the side.
        select: The epoch that is kept has the best validation value of this. ``auc`` (two classes)
            needs no threshold, as one is fitted afterwards; ``accuracy`` is at 0.5, and with few
            cells of one class may keep an epoch that tells the classes apart worse than others.
        bn_momentum: Of the batch-norm moving averages; None fits it to the number of steps.
        precision: ``bfloat16`` computes in it and keeps float32 weights (mixed precision).
        tta_rotations: Turns over which ``evaluate`` takes the mean logit; 1 is none.
        seed: Of the initial weights, the order of the images, SMOTE and the augmentation.
        distil: How to learn from a teacher; None learns from the true classes alone. Not written
            where it is None, so that runs made before there were teachers keep their identity.
    """

    model: str
    input_size: int = Field(default=250, ge=32, le=1024)
    epochs: int = Field(default=40, ge=1, le=10_000)
    batch_size: int = Field(default=32, ge=1, le=4096)
    width: float = Field(default=1.0, gt=0, le=2)
    weights: str = "none"
    freeze: str | None = None
    crop: int | None = Field(default=None, ge=1)
    standardise: Literal["dataset", "unit"] = "dataset"
    per_channel: bool = False
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    layer_rates: tuple[LayerRate, ...] = ()
    schedule: Schedule = "constant"
    decay: float = Field(default=0.1, gt=0, le=1)
    decay_every: int = Field(default=1, ge=1)
    class_weights: Literal["none", "balanced", "negative-share"] = "none"
    oversample: Literal["none", "smote"] = "none"
    augment: Augmentation = "none"
    rotation: float = Field(default=360.0, ge=0, le=360)
    translation: float = Field(default=0.0, ge=0, lt=1)
    select: Literal["accuracy", "weighted_f1", "auc"] = "accuracy"
    bn_momentum: float | None = Field(default=None, ge=0.5, lt=1)
    precision: Precision = "float32"
    tta_rotations: int = Field(default=1, ge=1, le=360)
    seed: int = Field(default=0, ge=0)
    distil: Distil | None = None

    @model_serializer(mode="wrap")
    def _without_empty_distil(self, plain: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields: dict[str, object] = plain(self)
        return fields if self.distil else {k: v for k, v in fields.items() if k != "distil"}

    @model_validator(mode="after")
    def _one_way_of_weighting(self) -> "TrainSettings":
        if self.oversample != "none" and self.class_weights != "none":
            raise ValueError("oversample and class_weights answer the same imbalance: choose one")
        return self


class Hosts(Frozen):
    """The processes that train together.

    Attributes:
        coordinator: ``HOST:PORT`` of process 0; None lets the cluster's scheduler say (Slurm, MPI).
        processes: How many; None likewise.
        process: Which one this is, from 0; None likewise.
    """

    coordinator: str | None = None
    processes: int | None = Field(default=None, ge=2)
    process: int | None = Field(default=None, ge=0)

    @field_validator("coordinator")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        parts = re.fullmatch(r"(?:[^\s:\[\]]+|\[[^\s\[\]]+\]):(\d{1,5})", value or "")
        if value is not None and (parts is None or not 0 < int(parts[1]) < 1 << 16):
            raise ValueError(f"'{value}' is not HOST:PORT")
        return value

    @model_validator(mode="after")
    def _all_or_nothing(self) -> "Hosts":
        known = [value is not None for value in (self.coordinator, self.processes, self.process)]
        if any(known) and not all(known):
            raise ValueError("--coordinator, --processes and --process belong together")
        if self.process is not None and self.process >= (self.processes or 0):
            raise ValueError(f"--process {self.process} is not below --processes {self.processes}")
        return self


class TrainRuntime(Frozen):
    """How a run is carried out on this machine; what comes out does not depend on it.

    Attributes:
        workers: Processes that decode images; 0 decodes in threads.
        cache: Folder for decoded pixels, memory-mapped; None decodes anew in every epoch.
        tensorboard: Write event files into ``RUN/tensorboard``.
        distribute: ``local`` splits each batch over the GPUs of this machine, ``hosts`` over those
            of all processes; ``none`` uses one.
        hosts: Only for ``hosts``.
    """

    workers: int = Field(default=0, ge=0, le=512)
    cache: Path | None = None
    tensorboard: bool = False
    distribute: Literal["none", "local", "hosts"] = "none"
    hosts: Hosts = Hosts()

    @model_validator(mode="after")
    def _hosts_only_for_hosts(self) -> "TrainRuntime":
        if self.distribute != "hosts" and self.hosts != Hosts():
            raise ValueError("--coordinator, --processes and --process need --distribute hosts")
        return self
