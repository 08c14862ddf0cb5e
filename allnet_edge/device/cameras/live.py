"""A live camera: a thread of its own talks to the device, so that no one waits without an end.

A driver or a network may keep a call for as long as it likes, and no call of OpenCV can be taken
back. So the device belongs to one thread from its opening to its release; the reader waits for that
thread with a timeout, and Ctrl-C ends the wait at once. Only the newest frame is kept. When the
camera is closed while the thread is held in a call, the thread is left behind: it releases the
device as soon as the call returns, and does not keep the program from ending.
"""

import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from allnet_edge.device.cameras.frame import CameraFacts, Frame
from allnet_edge.errors import CameraError, FrameTimeout, ImageError
from allnet_edge.segmentation.cell import Field

OPEN_SECONDS = 10.0
CLOSE_SECONDS = 2.0

Raw = TypeVar("Raw")


class Grabber(Protocol[Raw]):
    """What talks to a device; one thread calls all of it but ``interrupt`` and ``develop``."""

    def open(self) -> CameraFacts:
        """Open the device, in bounded time where the device lets it.

        Raises:
            CameraError: It is absent, busy or refuses.
        """
        ...

    def grab(self) -> Raw:
        """Wait for the next picture, as it comes from the device.

        Raises:
            CameraError: The device is gone.
            ImageError: This picture is damaged.
        """
        ...

    def close(self) -> None:
        """Release the device; also after an ``open`` that failed."""
        ...

    def interrupt(self) -> None:
        """End a call that is held, where that is possible; from another thread."""
        ...

    def develop(self, raw: Raw) -> Field:
        """Pixels, read-only, of what ``grab`` gave; in the thread that reads.

        Raises:
            ImageError: The picture is damaged.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Arrived(Generic[Raw]):
    number: int
    taken: datetime
    at_ns: int
    raw: Raw | ImageError


class LiveCamera(Generic[Raw]):
    """A camera whose device is read by a thread of its own.

    Args:
        grabber: The device.
        facts: What is known before it is opened.
        open_s: Seconds that opening may take.
    """

    def __init__(
        self, grabber: Grabber[Raw], facts: CameraFacts, *, open_s: float = OPEN_SECONDS
    ) -> None:
        self._grabber, self._facts, self._open_s = grabber, facts, open_s
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._opened = False
        self._error: Exception | None = None
        self._waiting: _Arrived[Raw] | None = None
        self._next = 0  # the number that the next arriving frame gets
        self._damaged = 0  # numbers given to frames that turned out to be damaged
        self._wanted = False

    @property
    def facts(self) -> CameraFacts:
        """What is known of it now."""
        return self._facts

    @property
    def finite(self) -> bool:
        """Never."""
        return False

    def __enter__(self) -> "LiveCamera[Raw]":
        if self._thread is not None:
            raise RuntimeError("a camera is entered once; make another one")
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._opened or self._over, self._open_s)
                if not self._opened:  # one that opened and left at once is told when it is read
                    self._raise_if_over()
                    raise CameraError(
                        f"the camera did not open within {self._open_s:g} s",
                        where=self._facts.source,
                        fix="check that it has power and that its cable or network is well",
                    )
        except BaseException:  # also Ctrl-C: nobody calls __exit__ after a failed __enter__
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame that was not read yet; see ``Camera.read``. Never None."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over, max(0.0, timeout_s))
            arrived, self._waiting = self._waiting, None
            if arrived is None or self._stop.is_set():
                self._raise_if_over()
                raise FrameTimeout(
                    f"no frame within {timeout_s:g} s",
                    where=self._facts.source,
                    fix="check the camera's cable or network",
                )
            if not self._wanted:
                self._wanted, self._next = True, 1
        return self._frame(arrived)

    def _frame(self, arrived: _Arrived[Raw]) -> Frame:
        try:
            if isinstance(arrived.raw, ImageError):
                raise arrived.raw
            rgb = self._grabber.develop(arrived.raw)
        except ImageError:
            self._damaged += 1
            raise
        height, width = rgb.shape[:2]
        if (width, height) != (self._facts.width, self._facts.height):
            self._facts = replace(self._facts, width=width, height=height)
        return Frame(arrived.number - self._damaged, rgb, arrived.taken, arrived.at_ns)

    @property
    def _over(self) -> bool:
        return self._error is not None or self._stop.is_set() or self._thread is None

    def _raise_if_over(self) -> None:
        if self._stop.is_set() or self._thread is None:
            raise CameraError("the camera is not open", where=self._facts.source)
        if self._error is not None:
            raise self._error.with_traceback(None)

    def interrupt(self) -> None:
        """End an opening or a ``read`` that waits, with ``CameraError``; from any thread."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        self._grabber.interrupt()

    def _close(self) -> None:
        self.interrupt()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            try:
                facts = self._grabber.open()
                with self._changed:
                    self._facts, self._opened = facts, True
                    self._changed.notify_all()
                while not self._stop.is_set():
                    self._take()
            finally:
                self._grabber.close()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that reads
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _take(self) -> None:
        raw: Raw | ImageError
        try:
            raw = self._grabber.grab()
        except ImageError as error:
            raw = error
        taken, at_ns = datetime.now(timezone.utc), time.monotonic_ns()
        with self._changed:
            self._waiting = _Arrived(self._next, taken, at_ns, raw)
            self._next += self._wanted  # until the first one was read nothing was lost
            self._changed.notify_all()
