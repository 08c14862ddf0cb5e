"""The little of Keras' types that our code relies on, the same in Keras 3 and tf-keras."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Tensor(Protocol):
    """A symbolic tensor, NHWC."""

    @property
    def shape(self) -> Sequence[int]:
        """Sides; the batch is None."""
        ...

    def __getitem__(self, part: object) -> "Tensor":
        """A part of it, as of an array."""
        ...


class Variable(Protocol):
    """A weight of a layer."""

    @property
    def name(self) -> str:
        """``kernel`` in Keras 3, ``conv1/kernel:0`` in tf-keras."""
        ...

    @property
    def shape(self) -> Sequence[int]:
        """Sides."""
        ...

    def numpy(self) -> npt.NDArray[np.generic]:
        """The values."""
        ...

    def assign(self, value: npt.NDArray[np.generic]) -> object:
        """Replace the values by others of the same shape."""
        ...


class Layer(Protocol):
    """A named layer."""

    @property
    def name(self) -> str:
        """Unique in its model."""
        ...

    @property
    def weights(self) -> Sequence[Variable]:
        """Trained and moving ones, in the layer's own order."""
        ...

    @property
    def output(self) -> Tensor:
        """In a functional model."""
        ...


class KerasModel(Protocol):
    """A functional model."""

    name: str

    @property
    def layers(self) -> Sequence[Layer]:
        """In the model's own order, which both Kerases share."""
        ...

    @property
    def variables(self) -> Sequence[Variable]:
        """The weights of all layers."""
        ...

    def __call__(self, inputs: object, training: bool = ...) -> Tensor:
        """Apply it to pixels [n, size, size, 3] in 0..255."""
        ...

    def predict(
        self, x: object, batch_size: int | None = ..., verbose: int = ...
    ) -> npt.NDArray[np.float32]:
        """Probabilities of arrays or of a data set, batch by batch."""
        ...

    def predict_on_batch(self, x: object) -> npt.NDArray[np.float32]:
        """Probabilities of one batch."""
        ...
