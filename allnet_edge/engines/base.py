"""What every runtime looks like from outside, and what they share."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from allnet_edge.errors import ConversionError

Images = NDArray[np.uint8]
"""[n, height, width, 3], RGB, 0..255: what ``data.images`` makes."""

Probabilities = NDArray[np.float32]
"""[n], of the positive class, for a single sigmoid unit; [n, classes] for a softmax."""


class Runner(Protocol):
    """One model in one runtime; a context manager that activates on enter, releases on exit.

    Attributes:
        engine: Name of the runtime: the module in ``allnet_edge.engines``.
        path: The model file.
        threads: CPU threads that one inference may use.
    """

    engine: str
    path: Path
    threads: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image; known while active."""
        ...

    def infer(self, images: Images) -> Probabilities:
        """Probabilities of a batch; see the two types. One call at a time.

        Raises:
            ValueError: Images of another shape or type.
            RuntimeError: The runner is not active.
        """
        ...

    def __enter__(self) -> "Runner": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class SingleImageRunner(ABC):
    """A ``Runner`` over a graph whose batch is fixed to 1, as all of ours are.

    A fixed batch is what TensorRT wants without an optimisation profile, and what makes one
    image's result independent of its neighbours.
    """

    engine: str

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.threads = threads or usable_cores()
        self._shape: tuple[int, int, int] | None = None

    @abstractmethod
    def _activate(self) -> tuple[int, ...]:
        """Load the model; return the shape of its input, [1, height, width, 3]."""

    @abstractmethod
    def _infer_one(self, image: Images) -> NDArray[np.floating]:
        """[1, height, width, 3] -> [1, units]."""

    @abstractmethod
    def _release(self) -> None:
        """Free what ``_activate`` took."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """See ``Runner``."""
        if self._shape is None:
            raise RuntimeError(f"the {self.engine} runner is not active: use it in a with block")
        return self._shape

    def __enter__(self) -> "SingleImageRunner":
        shape = self._activate()
        if len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
            self._release()
            raise ConversionError(
                f"the model's input has shape {list(shape)}, not [1, height, width, 3]",
                where=self.path,
                fix="export it again with a static batch of 1 and channels last",
            )
        self._shape = (shape[1], shape[2], shape[3])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shape = None
        self._release()

    def infer(self, images: Images) -> Probabilities:
        """See ``Runner``."""
        shape = self.input_shape
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != shape:
            raise ValueError(
                f"expected uint8 images of shape [n, {', '.join(map(str, shape))}], "
                f"got {images.dtype} {list(images.shape)}"
            )
        if len(images) == 1:
            outputs = self._infer_one(images).astype(np.float32, copy=False)
        elif len(images):
            rows = [self._infer_one(images[i : i + 1])[0] for i in range(len(images))]
            outputs = np.stack(rows).astype(np.float32)
        else:
            return np.empty(0, np.float32)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


def usable_cores() -> int:
    """The cores that this process may use, which containers and taskset limit."""
    return len(os.sched_getaffinity(0))
