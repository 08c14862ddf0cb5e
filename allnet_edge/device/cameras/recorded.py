"""Recorded pictures in place of a camera: a folder, an image, a video; paced or not."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from types import TracebackType
from typing import Protocol

from allnet_edge.device.cameras.frame import CameraFacts, Frame
from allnet_edge.device.cameras.pace import Pace
from allnet_edge.errors import CameraError, ImageError
from allnet_edge.segmentation.cell import Field


class Recording(Protocol):
    """Pictures in an order, one after the other."""

    def open(self) -> CameraFacts:
        """Begin, or begin again, before the first picture.

        Raises:
            UsageError, CameraError, ImageError: There is nothing to read.
        """
        ...

    def next(self) -> tuple[Field, str] | None:
        """The next picture, read-only RGB, and its name; None at the end.

        Raises:
            ImageError: This picture is damaged; the next one may be whole.
            CameraError: Nothing more can be read.
        """
        ...

    def skip(self, count: int) -> int:
        """Pass over pictures, cheaply; never over the last one. How many were passed."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class RecordedCamera:
    """A recording as a camera.

    Without a pace every picture is delivered, as fast as it is read. With one, pictures that come
    due while nobody reads are lost, and the numbers show it; the last picture never is. Reading is
    from local files: a timeout is kept for waiting, not for the file system.

    Args:
        recording: The pictures.
        facts: What is known before it is opened.
        pace: When each is due; None for as fast as they are read.
        repeat: Begin again at the end, for ever.
        clock: Nanoseconds, monotonic.
    """

    def __init__(
        self,
        recording: Recording,
        facts: CameraFacts,
        *,
        pace: Pace | None = None,
        repeat: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._recording, self._facts = recording, facts
        self._pace, self._repeat, self._clock = pace, repeat, clock
        self._due = 0  # places in the pace that were used, damaged pictures included
        self._damaged = 0
        self._fresh = 0  # pictures read since the recording began, so that an empty one ends
        self._open = self._entered = self._ended = False

    @property
    def facts(self) -> CameraFacts:
        """What is known of it now."""
        return self._facts

    @property
    def finite(self) -> bool:
        """Whether it ends."""
        return not self._repeat

    def __enter__(self) -> "RecordedCamera":
        if self._entered:
            raise RuntimeError("a camera is entered once; make another one")
        self._entered = True
        self._facts = self._recording.open()
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open = False
        self._recording.close()

    def read(self, timeout_s: float) -> Frame | None:
        """The next picture; see ``Camera.read``."""
        if not self._open:
            raise CameraError("the camera is not open", where=self._facts.source)
        if self._ended:
            return None
        if self._pace is not None:
            due = self._pace.wait(self._due, timeout_s)
            self._skip(due - self._due)
        arrived = self._clock()  # before decoding, as of a live camera
        try:
            found = self._recording.next()
            if found is None and self._repeat and self._fresh:
                self._again()
                found = self._recording.next()
        except ImageError:
            self._due += 1
            self._damaged += 1
            self._fresh += 1
            raise
        if found is None:
            self._ended = True
            return None
        return self._frame(*found, arrived)

    def _skip(self, count: int) -> None:
        if count > 0:
            self._due += self._recording.skip(count)

    def _again(self) -> None:
        self._recording.close()
        self._recording.open()
        self._fresh = 0

    def _frame(self, rgb: Field, name: str, at_ns: int) -> Frame:
        height, width = rgb.shape[:2]
        if (width, height) != (self._facts.width, self._facts.height):
            self._facts = replace(self._facts, width=width, height=height)
        number = self._due - self._damaged
        self._due += 1
        self._fresh += 1
        return Frame(number, rgb, datetime.now(timezone.utc), at_ns, name)
