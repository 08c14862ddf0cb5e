"""A first look through a camera: what it gives, how fast, how bright and how sharp."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from allnet_edge.device.cameras.frame import Camera, CameraFacts, Frame
from allnet_edge.device.cameras.health import FrameCheck
from allnet_edge.errors import DataError, ImageError
from allnet_edge.progress import Progress, silent
from allnet_edge.segmentation.cell import Field

LIVE = ("v4l2", "csi", "network")
TIMEOUT_SECONDS = 10.0
UNSTEADY = 0.1  # share of its median by which brightness may vary while nobody moves anything

Spread = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a camera showed.

    Attributes:
        facts: After the last frame.
        frames: Whole frames that were looked at.
        damaged: Frames that could not be decoded.
        rate_hz: Measured by arrival, lost frames included; None for recorded pictures and for a
            single frame.
        brightness: Least, median and largest mean of the frames, 0..255.
        sharpness: Least, median and largest variance of the Laplacian of the grey frames
            (Pech-Pacheco et al. 2000): for comparing focus positions of one field, no more.
        refused: Frames that no cell would be assessed in, by reason.
        warnings: Whole sentences, the camera's own among them.
    """

    facts: CameraFacts
    frames: int
    damaged: int
    rate_hz: float | None
    brightness: Spread
    sharpness: Spread
    refused: dict[str, int]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        facts = self.facts
        return {
            "source": facts.source,
            "kind": facts.kind,
            "width": facts.width,
            "height": facts.height,
            "promised_rate_hz": facts.rate_hz,
            "measured_rate_hz": self.rate_hz,
            "exposure": facts.exposure,
            "frames": self.frames,
            "damaged": self.damaged,
            "brightness": _named(self.brightness),
            "sharpness": _named(self.sharpness),
            "refused": dict(self.refused),
            "warnings": list(self.warnings),
        }


def look_through(
    camera: Camera,
    frames: int,
    *,
    seconds: float = 0.0,
    show: Callable[[Frame], None] | None = None,
    progress: Progress = silent,
) -> Survey:
    """Read frames.

    Args:
        camera: Entered.
        frames: At least so many, or to the end of a finite source; damaged ones count.
        seconds: At least so long.
        show: Called with each usable frame.
        progress: Told how far it is.

    Raises:
        CameraError: The camera is gone, or gave no frame within ``TIMEOUT_SECONDS``.
        DataError: Not one frame could be decoded.
    """
    live = camera.facts.kind in LIVE
    seen = _Seen(FrameCheck(fixed_size=live))
    began = time.monotonic()
    while seen.all < frames or time.monotonic() - began < seconds:
        progress("frames", seen.all, max(frames, seen.all + 1))
        try:
            frame = camera.read(TIMEOUT_SECONDS)
        except ImageError as error:
            seen.damage(error)
            continue
        if frame is None:
            break
        if seen.add(frame) and show is not None:
            show(frame)
    progress("frames", seen.all, seen.all)
    return seen.survey(camera.facts, live=live)


class _Seen:
    """What is kept of the frames."""

    def __init__(self, check: FrameCheck) -> None:
        self._check = check
        self._first: Frame | None = None
        self._last: Frame | None = None
        self._brightness: list[float] = []
        self._sharpness: list[float] = []
        self._refused: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._damage: ImageError | None = None
        self.damaged = 0

    @property
    def frames(self) -> int:
        return len(self._brightness)

    @property
    def all(self) -> int:
        """Whole and damaged ones."""
        return self.frames + self.damaged

    def damage(self, error: ImageError) -> None:
        self.damaged += 1
        self._damage = self._damage or error

    def add(self, frame: Frame) -> bool:
        """Whether the frame is usable."""
        self._first, self._last = self._first or frame, frame
        brightness, sharpness = _measure(frame.rgb)
        self._brightness.append(brightness)
        self._sharpness.append(sharpness)
        why = self._check.check(frame)
        if why is not None:
            self._refused[why[0].value] += 1
            self._examples.setdefault(why[0].value, why[1])
        return why is None

    def survey(self, facts: CameraFacts, *, live: bool) -> Survey:
        if self._first is None or self._last is None:
            why = f": {self._damage.what}" if self._damage else ""
            raise DataError(
                f"not one of {self.damaged} frames could be decoded{why}"
                if self.damaged
                else "the source holds no picture",
                where=facts.source,
            )
        seconds = (self._last.at_ns - self._first.at_ns) / 1e9
        steps = self._last.number - self._first.number
        return Survey(
            facts=facts,
            frames=self.frames,
            damaged=self.damaged,
            rate_hz=steps / seconds if live and seconds > 0 else None,
            brightness=_spread(self._brightness),
            sharpness=_spread(self._sharpness),
            refused=dict(self._refused),
            warnings=(*facts.warnings, *self._warnings(live=live)),
        )

    def _warnings(self, *, live: bool) -> list[str]:
        total = self.all
        said = [
            f"{count} of {total} frames would be refused, {reason}: {self._examples[reason]}."
            for reason, count in self._refused.items()
        ]
        if self._damage is not None:
            said.append(f"{self.damaged} of {total} frames are damaged: {self._damage.what}.")
        low, median, high = _spread(self._brightness)
        if live and high - low > UNSTEADY * max(median, 1.0):
            said.append(
                f"Brightness went from {low:.0f} to {high:.0f} of 255 within these frames: fix "
                "exposure and light, unless you moved the slide meanwhile."
            )
        return said


def _measure(rgb: Field) -> tuple[float, float]:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return float(grey.mean()), float(cv2.Laplacian(grey, cv2.CV_32F).var())


def _spread(values: list[float]) -> Spread:
    low, median, high = np.percentile(values, (0, 50, 100))
    return float(low), float(median), float(high)


def _named(spread: Spread) -> dict[str, float]:
    return dict(zip(("low", "median", "high"), spread, strict=True))
