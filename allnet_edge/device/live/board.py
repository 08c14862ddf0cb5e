"""What the threads of a live session share: the queue, the account of every frame, the state."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from allnet_edge.device.cameras.frame import Frame
from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.live.settings import Drop
from allnet_edge.device.live.status import Counters, State

Passed = Literal["repeated", "moving", "damaged", "refused", "passed"]
"""Why a frame is no field."""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """Something for the worker.

    Attributes:
        slide: That it belongs to.
        at_ns: When the frame arrived.
        frame: To be assessed; None where ``refused`` says why it is not.
        refused: Of a source whose every picture is wanted: a picture that is not assessed, which
            is stored with its reason.
    """

    slide: int
    at_ns: int
    frame: Frame | None
    refused: FieldResult | None = None


class Board:
    """Thread-safe; one lock, one condition.

    Args:
        queue: Items that may wait.
        drop: What happens when the queue is full.
        most: A slide is full after so many fields; None: never.
    """

    def __init__(self, queue: int, drop: Drop, most: int | None = None) -> None:
        self._changed = threading.Condition()
        self._queue = deque[Item]()
        self._limit, self._drop, self._most = queue, drop, most
        self._taken = 0
        self._counters = Counters()
        self._busy = self._stopping = self._lost = self._ended = self._accepting = False
        self._wanted = 0
        self._slide: int | None = None
        self._error: BaseException | None = None

    # Frames, as the reader sees them

    def pass_over(self, why: Passed) -> None:
        """A frame that is no field."""
        with self._changed:
            self._counters.read += 1
            setattr(self._counters, why, getattr(self._counters, why) + 1)

    def miss(self, frames: int) -> None:
        """Frames that the camera gave and nobody read."""
        with self._changed:
            self._counters.missed += frames

    def offer(self, item: Item) -> None:
        """Queue a field; when the queue is full, wait or drop, as was settled."""
        with self._changed:
            while self._full() and self._drop == "wait" and self._takes(item):
                self._changed.wait()
            self._counters.read += 1
            if not self._takes(item):
                self._counters.dropped += 1
                return
            if self._full():
                self._drop_oldest()
            self._queue.append(item)
            self._counters.waiting += 1
            self._changed.notify_all()

    def report(self, item: Item, why: Literal["damaged", "refused"]) -> None:
        """Queue what is only to be stored; it waits for room, whatever was settled."""
        self.pass_over(why)
        with self._changed:
            while self._full() and self._takes(item):
                self._changed.wait()
            if self._takes(item):
                self._queue.append(item)
                self._changed.notify_all()

    def _full(self) -> bool:
        return len(self._queue) >= self._limit

    def _takes(self, item: Item) -> bool:
        open_for_more = self._accepting and not self._enough() and not self._stopping
        return open_for_more and item.slide == self._slide

    def _drop_oldest(self) -> None:
        # What is only to be stored is counted already, and costs the worker nothing.
        oldest = next((one for one in self._queue if one.frame is not None), None)
        if oldest is not None:
            self._queue.remove(oldest)
            self._counters.waiting -= 1
            self._counters.dropped += 1

    # Frames, as the worker sees them

    def take(self, timeout_s: float) -> Item | None:
        """The next item; None after ``timeout_s`` seconds without one."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping, timeout_s)
            if not self._queue or self._stopping:
                return None
            item = self._queue.popleft()
            self._busy = True
            if item.frame is not None:
                self._counters.waiting -= 1
                self._counters.captured += 1
                self._taken += 1
            self._changed.notify_all()
            return item

    def _enough(self) -> bool:
        chosen = self._taken + self._counters.waiting
        return self._most is not None and chosen >= self._most

    def done(self, item: Item) -> None:
        """The item's result is stored."""
        with self._changed:
            self._busy = False
            self._counters.assessed += item.frame is not None
            self._changed.notify_all()

    # The slide

    @property
    def slide(self) -> int | None:
        """The open one."""
        with self._changed:
            return self._slide

    @property
    def accepting(self) -> int | None:
        """The slide that frames go to now; None while none is open, or it is full or closing."""
        with self._changed:
            return self._slide if self._accepting and not self._enough() else None

    def open_slide(self, slide: int) -> None:
        """From now on frames are fields of this slide."""
        with self._changed:
            self._slide, self._accepting, self._wanted, self._taken = slide, True, 0, 0
            self._changed.notify_all()

    def close_slide(self, *, finish_waiting: bool) -> None:
        """Take on no more frames and wait until what was taken on is stored, or the work fails.

        Args:
            finish_waiting: Else waiting fields are dropped, and only the one in work is finished.
        """
        with self._changed:
            self._accepting = False
            if not finish_waiting:
                self._discard()
            self._changed.notify_all()
            self._changed.wait_for(self._at_rest)

    def forget_slide(self) -> None:
        """It is closed, and its end is stored."""
        with self._changed:
            self._slide, self._accepting = None, False
            self._changed.notify_all()

    def _discard(self) -> None:
        while self._queue:
            if self._queue.popleft().frame is not None:
                self._counters.waiting -= 1
                self._counters.dropped += 1

    def _at_rest(self) -> bool:
        still = not self._queue and not self._busy
        return still or self._error is not None or self._stopping

    # The operator's wish, in manual capture

    def want(self) -> None:
        """One more frame is asked for."""
        with self._changed:
            self._wanted += 1
            self._changed.notify_all()

    def grant(self) -> bool:
        """Take one wish off; False where there is none."""
        with self._changed:
            granted = self._wanted > 0
            self._wanted -= granted
            return granted

    def wait_for_work(self, timeout_s: float, *, wish: bool) -> bool:
        """Whether a source that ends is to give its next frame.

        Args:
            timeout_s: Seconds to wait for it.
            wish: Only when somebody asked for a frame.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._gives(wish), timeout_s)
            return not self._stopping and self._gives(wish)

    def _gives(self, wish: bool) -> bool:
        open_for_more = self._accepting and not self._ended and not self._enough()
        return open_for_more and (self._wanted > 0 or not wish)

    # How it stands

    @property
    def counters(self) -> Counters:
        """A copy."""
        with self._changed:
            return replace(self._counters)

    @property
    def state(self) -> State:
        """See ``State``."""
        with self._changed:
            if self._error is not None:
                return "failed"
            if self._slide is None:
                return "camera lost" if self._lost else "idle"
            if (self._ended or self._enough()) and self._at_rest():
                return "finished"
            return "camera lost" if self._lost else "running"

    @property
    def error(self) -> BaseException | None:
        """What holds up or ended the work."""
        with self._changed:
            return self._error

    @property
    def stopping(self) -> bool:
        """The threads are to end."""
        with self._changed:
            return self._stopping

    def set_lost(self, lost: bool) -> bool:
        """The camera gives frames or not; returns whether that is news."""
        with self._changed:
            news = self._lost != lost
            self._lost = lost
            return news

    def set_ended(self, ended: bool) -> None:
        """The source has given its last frame, or begins again."""
        with self._changed:
            self._ended = ended
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """The source has given its last frame."""
        with self._changed:
            return self._ended

    def fail(self, error: BaseException) -> None:
        """The work cannot go on."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    @contextmanager
    def failing_on(self, kind: type[BaseException]) -> Iterator[None]:
        """What is raised inside, and is of this kind, holds up the work."""
        try:
            yield
        except kind as error:
            self.fail(error)
            raise

    def go_on(self) -> None:
        """Try again what failed."""
        with self._changed:
            self._error = None
            self._changed.notify_all()

    def wait_until_going_on(self) -> bool:
        """Until somebody says that it can go on; False when the session ends instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is None or self._stopping)
            return not self._stopping

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the session lasts."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self._stopping and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    def stop(self) -> None:
        """Let the threads end; what waits is dropped."""
        with self._changed:
            self._stopping = True
            self._accepting = False
            self._discard()
            self._changed.notify_all()
