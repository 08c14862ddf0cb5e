"""What a query is: the next image, from ready pixels or from its file, through one runner."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from allnet_edge.data.images import load
from allnet_edge.engines.base import Images, Probabilities, Runner
from allnet_edge.measure.latency import Clock
from allnet_edge.spec.network import Preprocess

Source = Path | bytes
"""An image file, or the bytes of one."""

Decide = Callable[[Probabilities], object]
"""From probabilities to a decision; what it returns is dropped."""

Times = npt.NDArray[np.float64]


class CopyTimes(NamedTuple):
    """Where the last ``infer`` of a runner with a device of its own spent its time, nanoseconds."""

    to_device: int
    inference: int
    from_device: int


@runtime_checkable
class TimesCopies(Protocol):
    """A runner that copies to a device and back, and times that.

    A runtime on the processor has no such method: its copies are null, never 0.
    """

    def copy_times(self) -> CopyTimes:
        """Of the last ``infer``."""
        ...


@dataclass(frozen=True, slots=True)
class Workload:
    """What every candidate is asked; images in turn, never zeros.

    Attributes:
        images: Ready pixels, uint8 ``[n, size, size, 3]``.
        sources: The same images as files, for the whole way from file to decision.
        preprocess: From a file to pixels.
    """

    images: Images
    sources: Sequence[Source]
    preprocess: Preprocess


class Decoded:
    """A query: the next image, already decoded."""

    def __init__(self, runner: Runner, images: Images) -> None:
        self._infer = runner.infer
        self._next = cycle([np.ascontiguousarray(image[None]) for image in images]).__next__

    def __call__(self) -> object:
        """Ask once."""
        return self._infer(self._next())


class Timed(ABC):
    """A query whose input has to be prepared: pixels to the tensor, network, decision, each timed.

    Attributes:
        taken: Nanoseconds of each query so far, warm-up included: (decode + preprocess, host to
            device or -1, inference, device to host + decision).
    """

    def __init__(self, runner: Runner, decide: Decide, clock: Clock = time.perf_counter_ns) -> None:
        self.taken: list[tuple[int, int, int, int]] = []
        self._runner, self._decide, self._clock = runner, decide, clock
        self._copies = runner if isinstance(runner, TimesCopies) else None

    @abstractmethod
    def _prepare(self) -> Images:
        """The next tensor, ``[1, size, size, 3]``."""

    def __call__(self) -> object:
        """Ask once."""
        clock = self._clock
        began = clock()
        image = self._prepare()
        ready = clock()
        outputs = self._runner.infer(image)
        done = clock()
        decision = self._decide(outputs)
        self.taken.append(span_times(ready - began, done - ready, clock() - done, self._copies))
        return decision


class FromFile(Timed):
    """The next image file, from its bytes on the disk to a decision."""

    def __init__(
        self,
        runner: Runner,
        workload: Workload,
        decide: Decide,
        clock: Clock = time.perf_counter_ns,
    ) -> None:
        super().__init__(runner, decide, clock)
        self._preprocess = workload.preprocess
        self._next = cycle(workload.sources)

    def _prepare(self) -> Images:
        return load(next(self._next), self._preprocess)[None]


def span_times(
    preprocess: int, inference: int, post: int, copies: TimesCopies | None
) -> tuple[int, int, int, int]:
    """One query's spans in nanoseconds; a runner that times its copies knows its part better."""
    if copies is None:
        return preprocess, -1, inference, post
    there, inside, back = copies.copy_times()
    return preprocess, there, inside, back + post


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Milliseconds of each query's parts, float64 ``(n,)`` each.

    Attributes:
        preprocess: Decode, crop and resize.
        host_to_device: None where the runtime has no device of its own.
        inference: The network.
        postprocess: Device to host, and the decision.
    """

    preprocess: Times
    host_to_device: Times | None
    inference: Times
    postprocess: Times

    @classmethod
    def of(cls, taken: Sequence[tuple[int, int, int, int]]) -> "Spans":
        """From what ``FromFile`` took."""
        parts = np.array(taken, dtype=np.float64).reshape(-1, 4).T / 1e6
        copied = bool((parts[1] >= 0).all())
        return cls(parts[0], parts[1] if copied else None, parts[2], parts[3])

    def named(self) -> dict[str, Times | None]:
        """By the names that bench.json has for them."""
        return {
            "preprocess": self.preprocess,
            "host_to_device": self.host_to_device,
            "inference": self.inference,
            "postprocess": self.postprocess,
        }
