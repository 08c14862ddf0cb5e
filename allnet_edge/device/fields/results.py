"""What is said about one field of view, and about each cell in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.cell import Box


class Reason(str, Enum):
    """Why a cell, or a whole field, was not assessed."""

    cut = "cut by the border of the field"
    blurred = "out of focus"
    dark = "under-exposed"
    bright = "over-exposed"
    stain = "stain far from the training cells"
    size = "cell size out of range"
    uncertain = "probability inside the uncertain band"
    frozen = "the camera repeats one frame"
    damaged = "damaged image"
    resolution = "resolution changed during the slide"


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell of a field.

    Attributes:
        index: From 0, within its field, in reading order.
        box: Around the whole cell, in pixels of the field.
        outline: Points (x, y) around it, in pixels of the field; at most 64.
        label: The class on whose side of the threshold it lies; None where it was not run.
        probability: 0..1, as of ``device.session.Decision``; None where it was not run.
        reason: Why it is not assessed; None for an assessed cell.
        detail: The reason with its figures, for people; empty for an assessed cell.
        shadow: The probability by the model that runs beside, in shadow mode; else None.
        stain_distance: Of its colour statistic from the training cells; None without statistics.
        picture: What the network was shown, uint8 ``[size, size, 3]`` RGB; None where it was not.
    """

    index: int
    box: Box
    outline: tuple[tuple[int, int], ...]
    label: str | None
    probability: float | None
    reason: Reason | None
    detail: str = ""
    shadow: float | None = None
    stain_distance: float | None = None
    picture: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)

    @property
    def assessed(self) -> bool:
        """Whether it counts in the slide's summary."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class FieldResult:
    """One field of view.

    Attributes:
        number: The frame's.
        name: Of its file; empty for a live camera.
        taken: UTC.
        width: Pixels.
        height: Pixels.
        cells: In reading order; empty for a field that was refused as a whole.
        reason: Why no cell of it was assessed; None for a usable field.
        detail: The same with its figures; empty for a usable field.
        spans_ns: How long each step took: ``find``, ``cut_out``, ``infer``, ``judge``.
    """

    number: int
    name: str
    taken: datetime
    width: int
    height: int
    cells: tuple[CellResult, ...]
    reason: Reason | None = None
    detail: str = ""
    spans_ns: Mapping[str, int] = field(default_factory=dict)
