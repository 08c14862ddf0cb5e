"""A camera that gives what a test wrote down, when the test says so."""

import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from types import TracebackType

import numpy as np

from allnet_edge.device.cameras.frame import CameraFacts, Frame
from allnet_edge.errors import CameraError, FrameTimeout
from allnet_edge.segmentation.cell import Field

Given = Field | Exception


class ScriptedCamera:
    """Gives pictures and raises errors in their order; a live one then waits for more.

    Args:
        script: What it gives.
        finite: It ends after the script.
        kind: As of its facts.

    Attributes:
        delivered: Frames that were read, damaged ones included.
        skip: Numbers that the next frame leaves out.
        back_by: How far its wall clock was set back.
    """

    def __init__(
        self, script: Iterable[Given] = (), *, finite: bool = False, kind: str = "v4l2"
    ) -> None:
        self._script = list(script)
        self._changed = threading.Condition()
        self._number = -1
        self._finite, self.kind = finite, kind
        self.entered = self.left = self.delivered = 0
        self.back_by = timedelta()
        self.skip = 0

    @property
    def facts(self) -> CameraFacts:
        return CameraFacts("scripted", self.kind, None, None, None, "manual")

    @property
    def finite(self) -> bool:
        return self._finite

    @property
    def given(self) -> bool:
        """Whether everything was read."""
        with self._changed:
            return not self._script

    def give(self, *more: Given) -> None:
        with self._changed:
            self._script.extend(more)
            self._changed.notify_all()

    def __enter__(self) -> "ScriptedCamera":
        self.entered += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.left += 1

    def read(self, timeout_s: float) -> Frame | None:
        with self._changed:
            if not self._script and self._finite:
                return None
            if not self._changed.wait_for(lambda: self._script, timeout_s):
                raise FrameTimeout(f"no frame within {timeout_s} s", where="scripted")
            given = self._script.pop(0)
            self._changed.notify_all()
        self.delivered += not isinstance(given, CameraError)
        if isinstance(given, Exception):
            raise given
        self._number += 1 + self.skip
        self.skip = 0
        given = np.array(given)
        given.setflags(write=False)
        taken = datetime.now(timezone.utc) - self.back_by
        return Frame(self._number, given, taken, time.monotonic_ns())


def wait_until(true: object, seconds: float = 20.0) -> None:
    """Wait for something that other threads do; a test that fails here would hang otherwise."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.005)
