"""What the calibration images show of every tensor, and the ranges that are made of it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.files import read_json, write_json
from allnet_edge.convert.histogram import Floats, Histogram
from allnet_edge.errors import ConversionError, IntegrityError

ChannelMeans: TypeAlias = Mapping[str, npt.NDArray[np.float64]]
"""For each tensor the mean of every channel over images and positions: float64 [channels]."""


@dataclass(frozen=True, slots=True)
class Range:
    """The interval of real values that int8 is to cover; what lies outside saturates."""

    low: float
    high: float

    @property
    def magnitude(self) -> float:
        """The larger end: what a symmetric grid has to cover."""
        return max(abs(self.low), abs(self.high))

    @property
    def finite(self) -> bool:
        """Whether both ends are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(slots=True)
class Observation:
    """What one pass over images showed; two of them can be merged.

    Attributes:
        histograms: By tensor.
        sums: For tensors that a kernel reads, the sum over images of the channels' means.
        images: How many were seen.
    """

    histograms: dict[str, Histogram] = field(default_factory=dict)
    sums: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    images: int = 0

    def add(self, activations: Iterable[tuple[str, Floats, int | None]]) -> None:
        """Count one image.

        Args:
            activations: Name, values, and the axis of the channels for a tensor that a kernel
                reads.

        Raises:
            ConversionError: A tensor has a value that is NaN or infinite.
        """
        self.images += 1
        for name, values, channels in activations:
            try:
                self.histograms.setdefault(name, Histogram()).add(values)
            except ValueError as error:
                raise ConversionError(
                    f"'{name}' is NaN or infinite on a calibration image",
                    fix="the float network is broken: look at its training, and train it again",
                ) from error
            if channels is not None:
                others = tuple(at for at in range(values.ndim) if at != channels % values.ndim)
                mean = values.mean(axis=others, dtype=np.float64)
                self.sums[name] = self.sums[name] + mean if name in self.sums else mean

    def merged(self, other: "Observation") -> "Observation":
        """What both passes together showed."""
        return Observation(
            {name: one.merged(other.histograms[name]) for name, one in self.histograms.items()},
            {name: total + other.sums[name] for name, total in self.sums.items()},
            self.images + other.images,
        )

    def channel_means(self) -> ChannelMeans:
        """Of every tensor that a kernel reads."""
        return {name: total / self.images for name, total in self.sums.items()}


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges of one float graph, as a build keeps them for those who quantize it again.

    Attributes:
        estimator: That made them.
        by_tensor: By the tensor's name in that graph.
        channel_means: For the correction of biases.
        bias_correction: Whether the build chose to correct them.
    """

    estimator: str
    by_tensor: Mapping[str, Range]
    channel_means: ChannelMeans
    bias_correction: bool

    @property
    def means_to_use(self) -> ChannelMeans | None:
        """The means where biases are to be corrected, else None."""
        return self.channel_means if self.bias_correction else None


def write_ranges(path: Path, ranges: Ranges) -> None:
    """Write ``ranges_onnx.json`` or ``ranges_tflite.json``."""
    write_json(
        path,
        {
            "estimator": ranges.estimator,
            "bias_correction": ranges.bias_correction,
            "ranges": {name: [one.low, one.high] for name, one in ranges.by_tensor.items()},
            "channel_means": {name: m.tolist() for name, m in ranges.channel_means.items()},
        },
    )


def read_ranges(path: Path) -> Ranges:
    """Read what ``write_ranges`` wrote.

    Raises:
        IntegrityError: Not such a file.
    """
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise IntegrityError("this is no list of ranges", where=path)
    try:
        ends = {str(name): (float(low), float(high)) for name, (low, high) in raw["ranges"].items()}
        return Ranges(
            estimator=str(raw["estimator"]),
            by_tensor={name: Range(low, high) for name, (low, high) in ends.items()},
            channel_means={
                str(name): np.asarray(means, np.float64)
                for name, means in raw["channel_means"].items()
            },
            bias_correction=bool(raw["bias_correction"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError("this is no list of ranges", where=path) from error
