"""A camera that comes back: opened anew when it was lost, less and less often."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Protocol, runtime_checkable

from allnet_edge.device.cameras.frame import Camera, CameraFacts, Frame
from allnet_edge.errors import CameraError, FrameTimeout, ImageError

What = Literal["lost", "absent", "back"]


@runtime_checkable
class Interruptible(Protocol):
    """A camera that somebody may wait for without an end."""

    def interrupt(self) -> None:
        """End an opening or a ``read`` that waits; from any thread."""
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before each attempt: doubled each time, up to a cap, then made uneven.

    Each wait is drawn between half of it and all of it, so that several programs, or cameras on
    one hub, do not come at the same moments ("Exponential Backoff And Jitter", Brooker 2015: equal
    jitter).

    Attributes:
        first_s: Before the second attempt; the first follows the loss at once.
        cap_s: Never longer than this.
    """

    first_s: float = 0.5
    cap_s: float = 10.0

    def wait_s(self, failed: int, draw: Callable[[], float]) -> float:
        """Seconds to wait after so many failed attempts in a row.

        Args:
            failed: From 0; then there is no wait.
            draw: Uniform in 0..1.
        """
        if failed <= 0:
            return 0.0
        whole = min(self.cap_s, self.first_s * 2.0 ** min(failed - 1, 60))
        return whole * (0.5 + 0.5 * draw())


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to the connection, for logs and for the person who watches.

    Attributes:
        what: ``lost``: it worked, and does no more. ``absent``: an attempt to open it failed.
            ``back``: it gives frames again.
        detail: In words, without passwords.
        failed: Attempts in a row that failed.
        next_s: Seconds until the next attempt; 0 for ``back``.
    """

    what: What
    detail: str
    failed: int
    next_s: float


class Reconnecting:
    """A camera around a camera that may leave and come back.

    While it is away ``read`` tries to open it again, as far as its timeout goes, and then raises
    ``CameraError``: call ``read`` again to go on trying. One attempt takes as long as the camera's
    own limit, beyond the timeout if need be. Numbers go on where they were.

    Args:
        make: Makes the camera, not entered, each time anew; never called after closing. What it
            raises (a wrong address, no GStreamer) is final.
        backoff: How long to wait between attempts.
        tell: Called with what happened, in the thread that reads.
        silence_s: Without a frame for so long the camera counts as lost, though it says nothing.
        absent_ok: Entering succeeds though the camera is not there yet.
        draw: Uniform in 0..1, for the uneven part of a wait.
        clock: Seconds, monotonic.

    Raises:
        Whatever ``make`` raises, since the first camera is made here.
    """

    def __init__(
        self,
        make: Callable[[], Camera],
        *,
        backoff: Backoff | None = None,
        tell: Callable[[Happening], None] | None = None,
        silence_s: float = 10.0,
        absent_ok: bool = False,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._backoff, self._telling = make, backoff or Backoff(), tell
        self._silence, self._absent_ok = silence_s, absent_ok
        self._draw, self._clock = draw, clock
        self._closed = threading.Event()
        self._inner: Camera = make()
        self._here = False
        self._was_lost = False
        self._failed = 0
        self._try_at = 0.0
        self._heard = 0.0
        self._offset = 0
        self._last = -1
        self._facts = self._inner.facts

    @property
    def facts(self) -> CameraFacts:
        """Those of the camera, the last known ones while it is away."""
        return self._inner.facts if self._here else self._facts

    @property
    def finite(self) -> bool:
        """As of the camera; a finite one is not begun again."""
        return self._inner.finite

    @property
    def here(self) -> bool:
        """Whether it is open now."""
        return self._here

    def __enter__(self) -> "Reconnecting":
        try:
            self._enter_inner()
        except CameraError as error:
            if not self._absent_ok:
                raise
            self._gone("absent", error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.interrupt()
        if self._here:
            self._here = False
            self._inner.__exit__(kind, error, trace)

    def interrupt(self) -> None:
        """End a ``read`` that waits, also for the camera to come back; from any thread."""
        self._closed.set()
        if isinstance(self._inner, Interruptible):
            self._inner.interrupt()

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; see ``Camera.read``."""
        until = self._clock() + timeout_s
        while not self._closed.is_set():
            if not self._here:
                self._come_back(until)
            left = max(0.0, until - self._clock())
            try:
                return self._renumbered(self._inner.read(left))
            except FrameTimeout as error:
                if self._clock() - self._heard < self._silence or self.finite:
                    raise
                self._gone("lost", error)
            except CameraError as error:
                if self.finite or self._closed.is_set():
                    raise
                self._gone("lost", error)
            except ImageError:
                self._heard = self._clock()
                raise
        raise CameraError("the camera was closed", where=self._facts.source)

    def _renumbered(self, frame: Frame | None) -> Frame | None:
        if frame is None:
            return None
        self._heard = self._clock()
        if self._was_lost:
            self._tell(Happening("back", "the camera gives frames again", self._failed, 0.0))
            self._was_lost = False
        self._failed = 0
        self._last = frame.number + self._offset
        return replace(frame, number=self._last)

    def _come_back(self, until: float) -> None:
        """Try until the camera is open.

        Raises:
            CameraError: The time is up; the next call goes on.
        """
        while not self._here:
            now = self._clock()
            if self._try_at > until:
                self._closed.wait(max(0.0, until - now))
                raise self._away()
            if self._closed.wait(max(0.0, self._try_at - now)):
                raise self._away()
            try:
                self._inner = self._make()
                self._enter_inner()
            except CameraError as error:
                self._gone("absent", error)

    def _enter_inner(self) -> None:
        self._inner.__enter__()
        self._here = True
        self._heard = self._clock()
        self._offset = self._last + 1

    def _gone(self, what: What, error: CameraError) -> None:
        if self._here:
            self._facts = self._inner.facts
            self._here = False
            self._inner.__exit__(None, None, None)
        # An attempt that opened the device and gave no frame counts as failed, too.
        wait = self._backoff.wait_s(self._failed, self._draw)
        self._failed += 1
        self._was_lost = True
        self._try_at = self._clock() + wait
        self._tell(Happening(what, error.what, self._failed, wait))

    def _tell(self, happening: Happening) -> None:
        if self._telling is not None:
            self._telling(happening)

    def _away(self) -> CameraError:
        attempts = f"{self._failed} attempt{'s' * (self._failed != 1)}"
        return CameraError(
            f"the camera is away ({attempts} so far)",
            where=self._facts.source,
            fix="check its cable and power; it is opened by itself when it is there",
        )
