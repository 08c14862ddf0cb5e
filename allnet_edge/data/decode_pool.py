"""Images decoded by worker processes, their pixels handed over in shared memory.

The workers are started afresh, never forked: TensorFlow and JAX run threads in the parent. They
take their work from one socket that all share, so that none waits while another is behind. A
thread of the parent copies finished rows into their batch; its arrays belong to the caller, since
an engine may go on reading them for as long as it likes.
"""

import json
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from allnet_edge.data.decode_worker import DONE, MOST_WORKERS
from allnet_edge.data.decoders import Decoders
from allnet_edge.data.pixels import ImageFiles, Indices, Pixels, PixelSource, as_indices
from allnet_edge.errors import AllnetEdgeError, error_from_json

_SLOTS_A_WORKER = 16
_LARGEST_CHUNK = 4


@dataclass(eq=False, slots=True)
class _Request:
    """Rows that were asked for: one batch."""

    batch: Pixels
    missing: int
    future: "Future[Pixels]" = field(default_factory=Future)
    failed: dict[int, AllnetEdgeError] = field(default_factory=dict)

    def settle(self, failure: AllnetEdgeError | None = None) -> None:
        """Let the caller have the batch, or the first of its rows that failed."""
        if self.failed and failure is None:
            failure = self.failed[min(self.failed)]
        if not self.future.set_running_or_notify_cancel():
            return
        if failure is not None:
            self.future.set_exception(failure)
        else:
            self.future.set_result(self.batch)


@dataclass(frozen=True, slots=True)
class _Row:
    """One of them."""

    request: _Request
    position: int
    index: int


class DecodedByProcesses(PixelSource):
    """Worker processes for as long as the source is open.

    Args:
        workers: Processes, each about 50 MB and one core.

    Raises:
        EnvironmentMismatch: There is no memory or no process to be had.
    """

    def __init__(self, files: ImageFiles, workers: int) -> None:
        if not 1 <= workers <= MOST_WORKERS:
            raise ValueError(f"{workers} workers are not in 1..{MOST_WORKERS}")
        self._files = files
        slots = workers * _SLOTS_A_WORKER
        self._lock = threading.Lock()
        self._free = list(range(slots))
        self._taken: dict[int, _Row] = {}
        self._waiting: deque[list[_Row]] = deque()
        self._requests: set[_Request] = set()
        self._failure: AllnetEdgeError | None = None
        self._closed = False
        self._decoders = Decoders(files, workers, slots)
        self._reader = threading.Thread(target=self._read, name="decoded pixels", daemon=True)
        self._reader.start()

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        return self._files.preprocess.size

    def __len__(self) -> int:
        """Number of images."""
        return len(self._files.paths)

    def begin(self, indices: Indices) -> "Future[Pixels]":
        """See `PixelSource.begin`."""
        wanted = as_indices(indices, len(self)).tolist()
        batch = np.empty((len(wanted), self.size, self.size, 3), np.uint8)
        request = _Request(batch, len(wanted))
        rows = [_Row(request, position, index) for position, index in enumerate(wanted)]
        if not rows:
            request.future.set_result(batch)
            return request.future
        chunk = min(_LARGEST_CHUNK, max(1, len(rows) // (2 * len(self._decoders))))
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise RuntimeError("the source is closed")
            self._requests.add(request)
            self._waiting += [rows[i : i + chunk] for i in range(0, len(rows), chunk)]
            self._hand_out()
        return request.future

    def close(self) -> None:
        """See `PixelSource.close`."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
        self._decoders.kill()
        self._reader.join()
        for request in self._requests:
            request.future.cancel()
        self._decoders.close()

    def _hand_out(self) -> None:
        """Send what there are slots for; the lock is held."""
        while self._waiting:
            rows = self._waiting[0]
            if rows[0].request.future.cancelled():
                self._requests.discard(rows[0].request)
                self._waiting.popleft()
                continue
            if len(rows) > len(self._free):
                return
            slots = [self._free.pop() for _ in rows]
            self._taken.update(zip(slots, rows, strict=True))  # the reply may come at once
            words = [(slot, row.index) for slot, row in zip(slots, rows, strict=True)]
            if not self._decoders.send(np.array(words, np.int64).tobytes()):
                self._free += slots
                for slot in slots:
                    del self._taken[slot]
                return
            self._waiting.popleft()

    def _read(self) -> None:
        """What the reading thread does: until a worker ends, by ``close`` or by accident."""
        try:
            while (reply := self._decoders.receive()) is not None:
                if reply[:1] == DONE:
                    self._arrived(np.frombuffer(reply, np.int64, offset=1).tolist())
                else:
                    self._refused(json.loads(reply[1:]))
            failure = None if self._closed else self._decoders.ending()
        except Exception as error:  # noqa: BLE001  # else those who wait would wait for ever
            failure = AllnetEdgeError(f"reading decoded pixels failed: {error!r}")
        if failure is not None:
            self._fail(failure)

    def _arrived(self, slots: list[int]) -> None:
        rows = [self._taken[slot] for slot in slots]
        for slot, row in zip(slots, rows, strict=True):
            if not row.request.future.cancelled():
                row.request.batch[row.position] = self._decoders.shared.rows[slot]
        with self._lock:
            for slot, row in zip(slots, rows, strict=True):
                del self._taken[slot]
                self._free.append(slot)
                row.request.missing -= 1
            self._hand_out()
            whole = {row.request for row in rows if not row.request.missing}
            self._requests -= whole
        for request in whole:
            request.settle()

    def _refused(self, told: dict[str, str | None]) -> None:
        row = self._taken[int(told["slot"] or 0)]
        error = error_from_json(told)
        where = self._files.paths[row.index]  # as the caller called it
        row.request.failed[row.position] = type(error)(error.what, where=where, fix=error.fix)

    def _fail(self, failure: AllnetEdgeError) -> None:
        with self._lock:
            self._failure = failure
            self._waiting.clear()
            requests, self._requests = self._requests, set()
        self._decoders.kill()
        for request in requests:
            request.settle(failure)
