"""Answers of read routes, made once for all who ask within a moment.

A hundred pages that ask for one summary cost one summary, so that they leave the processor to the
live loop. What a person changes is seen at once: every change drops all that is kept.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

MOST = 128
MOMENT = 0.25
"""Seconds; a live camera adds fields meanwhile, which the page is told of by events anyway."""


@dataclass(frozen=True, slots=True)
class _Kept:
    data: bytes
    until: float


class Answers:
    """Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept = OrderedDict[Hashable, _Kept]()
        self._making: dict[Hashable, threading.Lock] = {}
        self._changes = 0

    def changed(self) -> None:
        """Somebody changed something: nothing that is kept holds."""
        with self._lock:
            self._changes += 1
            self._kept.clear()

    async def give(
        self, key: Hashable, make: Callable[[], BaseModel], seconds: float = MOMENT
    ) -> Response:
        """The answer to a question.

        Args:
            key: Names the question.
            make: Makes the answer, in another thread; what it raises is raised and not kept.
            seconds: How long it holds.
        """
        data = self._known(key)
        if data is None:
            data = await run_in_threadpool(self._made, key, make, seconds)
        return Response(data, media_type="application/json")

    def _known(self, key: Hashable) -> bytes | None:
        kept = self._kept.get(key)
        return kept.data if kept is not None and kept.until > time.monotonic() else None

    def _made(self, key: Hashable, make: Callable[[], BaseModel], seconds: float) -> bytes:
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:  # the others wait for the first one's answer
                data = self._known(key)
                if data is not None:
                    return data
                before = self._changes
                data = make().model_dump_json().encode()
                with self._lock:
                    if before == self._changes:
                        self._kept[key] = _Kept(data, time.monotonic() + seconds)
                        self._kept.move_to_end(key)
                        while len(self._kept) > MOST:
                            self._kept.popitem(last=False)
                return data
        finally:
            with self._lock:
                self._making.pop(key, None)
