"""A finished run as the teacher of another: what it has to share, and its network, frozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from allnet_edge.data.samples import LabelMap
from allnet_edge.data.split import Split
from allnet_edge.errors import SplitError, UsageError
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import FloatModel

LOGITS = "logits"


@dataclass(frozen=True, slots=True)
class Teacher:
    """A run that may teach on this split.

    Attributes:
        model: Its description.
        network: Keras 3, float32, with its weights.
    """

    model: FloatModel
    network: keras.Model

    @property
    def told(self) -> dict[str, str]:
        """What to record of it."""
        return {"teacher": self.model.spec.network, "teacher sha256": self.model.weights_sha256}


def open_teacher(run: Path, split: Split, labels: LabelMap) -> Teacher:
    """Load a run that was trained on the same split for the same classes.

    Another split would hand the student answers that were learnt from its test cells.

    Raises:
        SplitError: It was trained on another split.
        UsageError: Its classes are others.
        IntegrityError: There is no finished run, or its weights were changed.
    """
    model = float_model.read(run)
    if model.split_sha256 != split.sha256:
        raise SplitError(
            "the teacher was trained on another split: it may have seen this one's test cells",
            where=run,
            fix=f"give --split {run / 'split.json'}",
        )
    if (model.spec.classes, model.label_index) != (labels.classes, labels.index):
        positive = [name for name, at in model.label_index.items() if at == 1]
        binary = f", with --positive {','.join(positive)}" if model.spec.units == 1 else ""
        raise UsageError(
            f"the teacher tells {', '.join(model.spec.classes)} apart, not "
            f"{', '.join(labels.classes)}",
            where=run,
            fix=f"train for the teacher's classes{binary}",
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        model, network = float_model.instantiate(keras, run)
    finally:
        keras.config.set_dtype_policy(before)
    return Teacher(model, network)


class FrozenNetwork(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """A teacher as a layer: it is never trained, and no checkpoint holds its weights.

    Args:
        network: Of the zoo.
        taps: Names of layers to look at.
    """

    stored_elsewhere = True

    def __init__(self, network: keras.Model, taps: Sequence[str] = ()) -> None:
        super().__init__(name="teacher", dtype="float32", trainable=False)
        self.inner = looked_into(network, taps)
        self.inner.trainable = False

    def call(self, pixels: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        """What `looked_into` says, of pixels [n, any side, same, 3]."""
        told = self.inner(resized(pixels, self.inner.inputs[0].shape[1]), training=False)
        return {name: keras.ops.stop_gradient(one) for name, one in told.items()}


def looked_into(network: keras.Model, taps: Sequence[str]) -> keras.Model:
    """The same layers and weights; from pixels to logits [n, units] and the taps' maps, by name."""
    names = (LOGITS, *taps)
    outputs = {name: network.get_layer(name).output for name in names}
    return keras.Model(network.inputs, outputs, name=network.name)


def resized(maps: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """Maps [n, h, w, channels] at [n, side, side, channels], bilinear, antialiased."""
    if maps.shape[1] == side:
        return maps
    return keras.ops.image.resize(maps, (side, side), interpolation="bilinear", antialias=True)
