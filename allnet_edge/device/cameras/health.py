"""Whether a frame can be looked at: frozen, black, saturated, of another size, damaged.

The limits are ours. On every fifth of 292 BCCD and 2,441 Aria fields the 99th percentile of
brightness is 205 or more (limit: below 30), at most 13 % of the pixels are clipped in all channels
(limit: 90 %), and no field ends in rows of one colour.
"""

from dataclasses import dataclass

import numpy as np

from allnet_edge.device.cameras.frame import Frame
from allnet_edge.device.fields.results import Reason
from allnet_edge.segmentation.cell import Field

SIDE = 160  # about so many pixels of the longer side are looked at, at even steps


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on a frame is refused.

    Attributes:
        black: The 99th percentile of brightness, 0..255, of a black frame is below this.
        clipped: A pixel is saturated if its darkest channel reaches this, of 255.
        saturated: Share of saturated pixels of a saturated frame.
        noise: Mean absolute difference to the frame before, in levels of 255, below which it is a
            repetition: a sensor's noise is far more, also of a scene that stands still.
        frozen_frames: So many repetitions in a row are a frozen camera...
        frozen_s: ... if they last so long: a video codec may repeat a few, no longer than a second.
        filled: Share of rows at the lower end in one colour, neither black nor clipped, that tells
            a picture whose end is missing.
    """

    black: float = 30.0
    clipped: int = 254
    saturated: float = 0.9
    noise: float = 0.02
    frozen_frames: int = 10
    frozen_s: float = 2.0
    filled: float = 1 / 16


class FrameCheck:
    """Looks at the frames of one slide, in their order.

    Args:
        limits: When a frame is refused.
        fixed_size: Whether all frames have to be of the first one's size, as those of one camera
            on one slide; False for a folder of fields from anywhere.
    """

    def __init__(self, limits: Limits | None = None, *, fixed_size: bool = True) -> None:
        self._limits, self._fixed_size = limits or Limits(), fixed_size
        self.reset()

    def reset(self) -> None:
        """Begin a new slide."""
        self._size: tuple[int, int] | None = None
        self._before: np.ndarray[tuple[int, ...], np.dtype[np.int16]] | None = None
        self._repeated = 0
        self._still_since = 0

    def check(self, frame: Frame) -> tuple[Reason, str] | None:
        """Look at the next frame; about 1 ms for 640 x 480.

        Args:
            frame: Frames with a name, which come from files, are never called frozen: two files
                may well hold the same picture.

        Returns:
            Why no cell of it is to be assessed, and the same with figures; None for a good frame.
        """
        step = max(1, max(frame.rgb.shape) // SIDE)
        grid = frame.rgb[::step, ::step].astype(np.int16)
        frozen = self._frozen(frame, grid)
        return (
            self._other_size(frame)
            or self._dark(grid)
            or self._bright(grid)
            or self._filled(frame.rgb)
            or frozen
        )

    def _other_size(self, frame: Frame) -> tuple[Reason, str] | None:
        height, width = frame.rgb.shape[:2]
        if self._size is None or not self._fixed_size:
            self._size = (width, height)
        if self._size == (width, height):
            return None
        before = f"{self._size[0]} x {self._size[1]}"
        return Reason.resolution, f"{width} x {height} pixels; the slide began with {before}"

    def _dark(self, grid: np.ndarray) -> tuple[Reason, str] | None:
        brightest = grid.max(axis=2)
        if float((brightest >= self._limits.black).mean()) > 0.01:
            return None
        bright = float(np.percentile(brightest, 99))
        return Reason.dark, (
            f"black: 99 % of the pixels are darker than {bright:.0f} of 255 "
            f"(a frame needs {self._limits.black:g}); light off, or lens covered?"
        )

    def _bright(self, grid: np.ndarray) -> tuple[Reason, str] | None:
        share = float((grid.min(axis=2) >= self._limits.clipped).mean())
        if share <= self._limits.saturated:
            return None
        return Reason.bright, (
            f"saturated: {share:.0%} of the pixels are clipped in all channels (at most "
            f"{self._limits.saturated:.0%}); less light, or a shorter exposure"
        )

    def _filled(self, rgb: Field) -> tuple[Reason, str] | None:
        """Decoders fill what is missing at a picture's end with one colour."""
        rows = max(2, round(len(rgb) * self._limits.filled))
        end = rgb[-rows:]
        colour = end[-1, -1]
        if colour.max() < self._limits.black or colour.min() >= self._limits.clipped:
            return None
        if (end != colour).any():
            return None
        return Reason.damaged, f"the last {rows} rows or more are of one colour: a cut-off picture"

    def _frozen(self, frame: Frame, grid: np.ndarray) -> tuple[Reason, str] | None:
        before, self._before = self._before, grid
        same = before is not None and before.shape == grid.shape and not frame.name
        if not same or float(np.abs(grid - before).mean()) >= self._limits.noise:
            self._repeated, self._still_since = 0, frame.at_ns
            return None
        self._repeated += 1
        seconds = (frame.at_ns - self._still_since) / 1e9
        if self._repeated < self._limits.frozen_frames or seconds < self._limits.frozen_s:
            return None
        return Reason.frozen, f"{self._repeated + 1} frames without any noise in {seconds:.1f} s"
