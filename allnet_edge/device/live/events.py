"""What a live session tells those who listen: bounded for each of them, the oldest dropped."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from allnet_edge.device.fields.results import FieldResult
from allnet_edge.device.live.status import LiveStatus

EVENTS = 64


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened.

    Attributes:
        kind: ``field``: a field is stored. ``state``: the state changed. ``slide``: one began or
            ended.
        status: Right after it.
        slide: The slide that it belongs to.
        result: Of a ``field``, without the cells' pictures; see ``Live.picture``.
        cells: Of a ``field``: the ids of its cells, in order.
        latency_ns: Of a ``field``: from the frame's arrival until it was stored.
        detail: In words, where there is something to say.
    """

    kind: Literal["field", "state", "slide"]
    status: LiveStatus
    slide: int | None = None
    result: FieldResult | None = None
    cells: tuple[int, ...] = ()
    latency_ns: int = 0
    detail: str = ""


class Subscription:
    """One listener's events; a slow one loses the oldest and is told how many.

    Attributes:
        dropped: Events that this listener was too slow for.
    """

    def __init__(self, hub: "Hub", limit: int) -> None:
        self._hub = hub
        self._events = deque[Event](maxlen=limit)
        self._changed = threading.Condition()
        self._closed = False
        self.dropped = 0

    @property
    def closed(self) -> bool:
        """No event will come any more; waiting ones can still be read."""
        return self._closed

    def get(self, timeout_s: float) -> Event | None:
        """The next event; None after ``timeout_s`` seconds without one, or at the end."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while not self._events and not self._closed:
                left = until - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)
            return self._events.popleft() if self._events else None

    def __iter__(self) -> Iterator[Event]:
        """Events until the session or the subscription ends."""
        while True:
            event = self.get(1.0)
            if event is not None:
                yield event
            elif self._closed:
                return

    def close(self) -> None:
        """Listen no more."""
        self._hub.forget(self)
        self.end()

    def end(self) -> None:
        """Nothing more will come: wakes whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def put(self, event: Event) -> None:
        """Never waits."""
        with self._changed:
            self.dropped += len(self._events) == self._events.maxlen
            self._events.append(event)
            self._changed.notify_all()

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Hub:
    """All listeners of one session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Subscription] = []
        self._ended = False

    def subscribe(self, limit: int = EVENTS) -> Subscription:
        """A new listener; one that comes after the end hears nothing."""
        made = Subscription(self, limit)
        with self._lock:
            if self._ended:
                made.end()
            else:
                self._all.append(made)
        return made

    def publish(self, event: Event) -> None:
        """Give an event to all, without waiting for any."""
        with self._lock:
            listeners = tuple(self._all)
        for one in listeners:
            one.put(event)

    def forget(self, one: Subscription) -> None:
        """Give it nothing any more."""
        with self._lock:
            if one in self._all:
                self._all.remove(one)

    def end(self) -> None:
        """Tell all that nothing more will come."""
        with self._lock:
            self._ended, listeners = True, tuple(self._all)
            self._all.clear()
        for one in listeners:
            one.end()
