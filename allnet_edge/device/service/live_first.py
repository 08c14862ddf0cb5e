"""Requests wait while a field is in work, so that a hundred readers do not slow the live loop.

All threads of a process share one interpreter. A field takes it often and briefly, and each time it
would queue behind the requests; a request that waits some milliseconds harms nobody.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MOST_SECONDS = 0.25
"""No request waits longer, however much there is to do."""


class LiveFirst:
    """Shared by the threads that work on fields and the event loop that serves requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free: asyncio.Event | None = None

    @contextmanager
    def working(self) -> Iterator[None]:
        """A field is in work; from any thread."""
        with self._lock:
            self._at_work += 1
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= 1
                if not self._at_work and self._loop is not None and not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(self._let_go)

    async def wait(self) -> None:
        """Until no field is in work, or for `MOST_SECONDS`; in the event loop."""
        with self._lock:
            if not self._at_work:
                return
            if self._loop is not asyncio.get_running_loop():
                self._loop, self._free = asyncio.get_running_loop(), asyncio.Event()
            free = self._free
        if free is not None:
            free.clear()
            try:
                await asyncio.wait_for(free.wait(), MOST_SECONDS)
            except asyncio.TimeoutError:
                return

    def _let_go(self) -> None:
        if self._free is not None:
            self._free.set()
