"""The clock of a simulated camera."""

import time
from collections.abc import Callable

from allnet_edge.errors import FrameTimeout, UsageError

MAX_HZ = 1000.0
_SECOND = 1_000_000_000


class Pace:
    """When a frame is due, by deadlines of the monotonic clock: a late frame delays no later one.

    Args:
        rate_hz: Frames a second; frame k is due k periods after the first one was asked for.
        clock: Nanoseconds, monotonic.
        sleep: Waits so many seconds.

    Raises:
        UsageError: A rate that no camera has.
    """

    def __init__(
        self,
        rate_hz: float,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not 0 < rate_hz <= MAX_HZ:
            raise UsageError(
                f"{rate_hz:g} frames a second is no rate of a camera", fix=f"0 to {MAX_HZ:g}"
            )
        self._period = _SECOND / rate_hz
        self._clock, self._sleep = clock, sleep
        self._start: int | None = None

    def wait(self, frame: int, timeout_s: float) -> int:
        """Wait until a frame is due.

        Args:
            frame: The next one that was not seen, from 0.
            timeout_s: At most so long.

        Returns:
            The frame that is due now: ``frame``, or a later one if the caller comes too late; what
            lies between is lost, as a camera with one buffer loses it.

        Raises:
            FrameTimeout: It is not due within the time.
        """
        now = self._clock()
        if self._start is None:
            self._start = now - int(frame * self._period)
        early = self._start + frame * self._period - now
        if early > timeout_s * _SECOND:
            self._sleep(max(0.0, timeout_s))
            raise FrameTimeout(f"no frame within {timeout_s:g} s: the rate is lower than that")
        if early > 0:
            self._sleep(early / _SECOND)
        return max(frame, int((self._clock() - self._start) / self._period))
