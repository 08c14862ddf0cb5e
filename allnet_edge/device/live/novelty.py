"""Which frames of a live camera are new fields: still, and not what was captured before.

Two frames of one place are found by phase correlation (Kuglin & Hines 1975) of small grey copies,
padded with zeros so that a shift beyond half a field is not taken for one in the other direction.
A peak is believed only if the two copies agree where they overlap.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.cell import Field

Choice = Literal["new", "repeated", "moving"]
Grey = NDArray[np.float32]

WIDTH = 96  # of a small copy, in pixels
STILL = 0.1  # share of the picture's own contrast by which it may change from frame to frame
FLOOR = 10.0  # grey levels: noise of an empty field is no movement
BLANK = 1.5  # grey levels: a copy with less contrast shows nothing that could be recognised
OVERLAP = 0.15  # share of a field that may be seen twice
ALIKE = 0.75  # correlation; unrelated fields reach 0.63 by their best peak (docs/live.md)
PEAKS = 6
MEMORY = 8


@dataclass(frozen=True, slots=True)
class Overlap:
    """How two pictures lie on each other.

    Attributes:
        share: Of a field that both show, 0..1; 0 where nothing in common was found.
        correlation: Of what both show.
        shift: (x, y) of the second one's origin in the first, in shares of a field.
    """

    share: float = 0.0
    correlation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)


class Copy:
    """A small grey copy of a field, without its brightness and uneven light.

    Args:
        rgb: uint8 ``[height, width, 3]``.
    """

    def __init__(self, rgb: Field) -> None:
        height, width = rgb.shape[:2]
        size = (WIDTH, max(1, round(height * WIDTH / width)))
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        self.grey: Grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
        light = cv2.GaussianBlur(self.grey, (0, 0), WIDTH / 12)
        self.flat: Grey = self.grey - light
        self.flat -= self.flat.mean()
        self.padded = tuple(cv2.getOptimalDFTSize(2 * side) for side in self.flat.shape)
        self.spectrum = np.fft.rfft2(self.flat, self.padded)

    @property
    def blank(self) -> bool:
        """Nothing in it could be recognised again."""
        return float(self.flat.std()) < BLANK

    def change(self, other: "Copy") -> float:
        """Mean change against another picture, as a share of the contrast; light is left out."""
        difference = self.grey - other.grey
        moved = np.abs(difference - difference.mean()).mean()
        return float(moved / (self.grey.std() + FLOOR))

    def overlap(self, other: "Copy", least: float = OVERLAP) -> Overlap:
        """The best agreement of two pictures that share at least ``least`` of a field."""
        power = self.spectrum * np.conj(other.spectrum)
        surface = np.fft.irfft2(power / (np.abs(power) + 1e-9), self.padded)
        best = Overlap()
        for _ in range(PEAKS):
            y, x = divmod(int(surface.argmax()), surface.shape[1])
            surface[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = -np.inf
            down, right = (_signed(at, n) for at, n in zip((y, x), surface.shape, strict=True))
            found = _agreement(self.flat, other.flat, down, right)
            if found.share >= least and found.correlation > best.correlation:
                best = found
        return best


class FieldChooser:
    """Sees every frame of a camera, in order, and says which is a new field.

    A frame is still when it differs little from the one before. It is new when it shares at most
    ``OVERLAP`` with each of the last ``MEMORY`` captured fields.
    """

    def __init__(self) -> None:
        self._before: Copy | None = None
        self._captured = deque[Copy](maxlen=MEMORY)

    def look(self, rgb: Field) -> Choice:
        """Judge the next frame; one that is ``new`` counts as captured from then on."""
        copy = Copy(rgb)
        before, self._before = self._before, copy
        if before is None or before.grey.shape != copy.grey.shape:
            return "moving"
        if copy.change(before) > STILL:
            return "moving"
        if any(_same_place(copy, one) for one in reversed(self._captured)):
            return "repeated"
        self._captured.append(copy)
        return "new"

    def forget(self) -> None:
        """A new slide begins: nothing was captured yet."""
        self._captured.clear()


def _same_place(copy: Copy, captured: Copy) -> bool:
    if copy.grey.shape != captured.grey.shape:
        return False
    if copy.blank or captured.blank:
        return copy.blank and captured.blank
    return copy.overlap(captured).correlation >= ALIKE


def _signed(at: int, n: int) -> int:
    return at if at <= n // 2 else at - n


def _agreement(first: Grey, second: Grey, down: int, right: int) -> Overlap:
    """Correlation of two pictures where they overlap, the second one moved."""
    height, width = first.shape
    if abs(down) >= height or abs(right) >= width:
        return Overlap()
    here = first[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    there = second[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    a, b = here - here.mean(), there - there.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    correlation = float((a * b).sum()) / scale if scale > 0 else 0.0
    share = here.size / first.size
    return Overlap(share, correlation, (right / width, down / height))
