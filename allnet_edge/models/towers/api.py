"""The little of Keras' types that our code relies on, the same in Keras 3 and tf-keras."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Tensor(Protocol):
    """A symbolic tensor, NHWC."""

    @property
    def shape(self) -> Sequence[int]: ...


class Variable(Protocol):
    """A weight of a layer."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> Sequence[int]: ...
    def numpy(self) -> npt.NDArray[np.generic]: ...
    def assign(self, value: npt.NDArray[np.generic]) -> object: ...


class Layer(Protocol):
    """A named layer."""

    @property
    def name(self) -> str: ...
    @property
    def weights(self) -> Sequence[Variable]: ...


class KerasModel(Protocol):
    """A functional model."""

    @property
    def layers(self) -> Sequence[Layer]: ...
    def __call__(self, inputs: object, training: bool = ...) -> Tensor: ...
    def predict(
        self, x: object, batch_size: int | None = ..., verbose: int = ...
    ) -> npt.NDArray[np.float32]: ...
