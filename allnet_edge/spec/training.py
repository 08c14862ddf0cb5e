"""What one training run is told."""

from typing import Literal

from pydantic import Field

from allnet_edge.spec.base import Frozen

Augmentation = Literal["none", "dihedral"]
Schedule = Literal["constant", "cosine"]


class TrainSettings(Frozen):
    """Settings of ``train``; the defaults are ALLNet's paper where it states them.

    The paper gives input 250, batch 32, 40 epochs, binary cross-entropy, the checkpoint at the
    best validation accuracy and one scalar mean and sd. Adam with 1e-4 is our reading: it names no
    optimiser.

    Attributes:
        model: Name of a network.
        width: Channel multiplier.
        crop: Side of a centre crop before the resize, in pixels; None keeps the image.
        schedule: Of the learning rate; ``cosine`` falls to zero over all epochs, so that a run with
            it cannot be prolonged.
        augment: ``dihedral`` flips and turns by quarters at random, ``none`` is the paper's.
        per_channel: Standardise each channel by itself.
        seed: Of the initial weights, the order of the images and the augmentation.
    """

    model: str
    input_size: int = Field(default=250, ge=32, le=1024)
    epochs: int = Field(default=40, ge=1, le=10_000)
    batch_size: int = Field(default=32, ge=1, le=4096)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    width: float = Field(default=1.0, gt=0, le=2)
    crop: int | None = Field(default=None, ge=1)
    schedule: Schedule = "constant"
    augment: Augmentation = "none"
    per_channel: bool = False
    seed: int = Field(default=0, ge=0)
