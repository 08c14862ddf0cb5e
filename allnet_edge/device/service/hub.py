"""Server-sent events: made once, handed to many readers, none of whom slows down the sender.

The sender is a thread of the live session; it only leaves the event with the event loop. A reader
that falls behind loses its oldest events and is told how many; one that takes nothing is let go.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from allnet_edge.device.service.problems import busy
from allnet_edge.device.service.settings import Limits

ALIVE_SECONDS = 15.0
"""A comment goes out after so long without an event, so that a dead connection is noticed."""


def encode(kind: str, data: Mapping[str, object]) -> bytes:
    """One event as it goes over the wire."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"event: {kind}\ndata: {text}\n\n".encode()


class Hub:
    """Everybody who reads live events.

    Args:
        limits: Of readers, and of events that wait for one of them.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._readers: set[Reader] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def readers(self) -> int:
        """How many there are now."""
        return len(self._readers)

    def publish(self, kind: str, data: Mapping[str, object]) -> None:
        """Hand an event to all; from any thread, without waiting."""
        event = encode(kind, data)
        with self._lock:
            if self._loop is not None and not self._closed:
                self._loop.call_soon_threadsafe(self._deliver, event)

    def join(self) -> "Reader":
        """A new reader; called in the event loop.

        Raises:
            Refusal: There are too many.
        """
        if len(self._readers) >= self._limits.readers or self._closed:
            raise busy("too many pages follow this server already", seconds=5)
        with self._lock:
            self._loop = asyncio.get_running_loop()
        reader = Reader(self._limits.reader_events)
        self._readers.add(reader)
        return reader

    def leave(self, reader: "Reader") -> None:
        """It reads no more."""
        self._readers.discard(reader)

    def close(self) -> None:
        """End every stream, so that the server can; called in the event loop."""
        with self._lock:
            self._closed = True
        for reader in self._readers:
            reader.end()

    def _deliver(self, event: bytes) -> None:
        for reader in self._readers:
            reader.put(event)


class Reader:
    """One page's events; used in the event loop alone.

    Attributes:
        lost: Events that it was too slow for.
    """

    def __init__(self, limit: int) -> None:
        self._events = deque[bytes](maxlen=limit)
        self._news = asyncio.Event()
        self._ended = False
        self._told = 0
        self.lost = 0

    def put(self, event: bytes) -> None:
        """One more; the oldest gives way."""
        self.lost += len(self._events) == self._events.maxlen
        self._events.append(event)
        self._news.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._news.set()

    async def next(self) -> bytes | None:
        """What to send now: an event, or a sign of life; None at the end."""
        if not self._events and not self._ended:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), ALIVE_SECONDS)
            except asyncio.TimeoutError:
                return b": alive\n\n"
        if self._ended:
            return None
        if self.lost > self._told:
            missed, self._told = self.lost - self._told, self.lost
            return encode("lost", {"events": missed})
        return self._events.popleft()


class EventStream(Response):
    """An answer that goes on until the reader leaves, is too slow, or the server ends.

    Args:
        hub: Where the reader is known.
        reader: Its events.
        first: Sent at once: how things stand.
        seconds: A reader that takes nothing for so long is let go.
    """

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, reader: Reader, first: Sequence[bytes], seconds: float) -> None:
        super().__init__()
        self._hub, self._reader, self._first, self._seconds = hub, reader, first, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the events."""
        raw = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
        ]
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": raw})
            await self._follow(send, gone)
        finally:
            self._hub.leave(self._reader)
            gone.cancel()

    async def _follow(self, send: Send, gone: "asyncio.Future[None]") -> None:
        for event in self._first:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        while not gone.done():
            news = await self._reader.next()
            if news is None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            body = {"type": "http.response.body", "body": news, "more_body": True}
            try:
                await asyncio.wait_for(send(body), self._seconds)
            except asyncio.TimeoutError:
                return  # the connection is closed by the server, since the answer is not whole


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
