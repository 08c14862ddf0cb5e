"""Requests wait while a field is in work, so that a hundred readers do not slow the live loop.

All threads of a process share one interpreter. A field takes it often and briefly, and each time it
would queue behind the requests; a request that waits some milliseconds harms nobody.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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
        """Until no field is in work, or for `MOST_SECONDS`; in the event loop.

        Of many who are let go at once the last ones may find the next field in work, and wait on.
        """
        until = time.monotonic() + MOST_SECONDS
        while (free := self._busy()) is not None and (left := until - time.monotonic()) > 0:
            free.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(free.wait(), left)

    def _busy(self) -> asyncio.Event | None:
        """What is set when the field is done; None while none is in work."""
        with self._lock:
            if not self._at_work:
                return None
            loop = asyncio.get_running_loop()
            if self._free is None or self._loop is not loop:
                self._loop, self._free = loop, asyncio.Event()
            return self._free

    def _let_go(self) -> None:
        if self._free is not None:
            self._free.set()
