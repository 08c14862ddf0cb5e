"""Images decoded by worker processes, straight into the memory of the batch.

The workers are started afresh, never forked: TensorFlow and JAX run threads in the parent. They
take their work from one socket that all share, so that none waits while another is behind. A
thread of the parent hears what is done.
"""

import json
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from allnet_edge.data.decode_worker import DONE, Chunk
from allnet_edge.data.decoders import FEWER, Decoders
from allnet_edge.data.pixels import ImageFiles, Indices, Pixels, PixelSource, as_indices
from allnet_edge.data.shared_pixels import MOST_WORKERS, SharedPixels
from allnet_edge.errors import AllnetEdgeError, EnvironmentMismatch, error_from_json

_LARGEST_CHUNK = 8


@dataclass(slots=True)
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
        self._lock = threading.Lock()
        self._waiting: deque[Chunk] = deque()
        self._requests: dict[int, _Request] = {}
        self._asked = 0
        self._failure: AllnetEdgeError | None = None
        self._closed = False
        with ExitStack() as undo:
            try:
                self._memory = SharedPixels(len(files.paths))
                undo.callback(self._memory.close)
                self._decoders = Decoders(files, workers, self._memory)
            except OSError as error:
                raise EnvironmentMismatch(
                    f"cannot start {workers} processes that decode images: {error.strerror}",
                    fix=FEWER,
                ) from error
            undo.pop_all()
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
        with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise RuntimeError("the source is closed")
            start, batch = self._memory.batch(len(wanted), self.size)
            request = _Request(batch, len(wanted))
            if not wanted:
                request.settle()
                return request.future
            self._asked += 1
            self._requests[self._asked] = request
            # Large ones cost fewer messages, small ones keep many workers busy.
            rows = min(_LARGEST_CHUNK, max(1, 2 * len(wanted) // len(self._decoders)))
            for at in range(0, len(wanted), rows):
                place = start + at * batch[0].nbytes
                self._waiting.append(Chunk(self._asked, at, place, wanted[at : at + rows]))
            self._hand_out()
        return request.future

    def close(self) -> None:
        """See `PixelSource.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._waiting.clear()
        self._decoders.kill()
        self._reader.join()
        self._decoders.close()
        for request in self._requests.values():
            request.future.cancel()
        self._requests.clear()
        self._memory.close()
        del self._decoders, self._memory  # the memory goes with the last batch that is a view of it

    def _hand_out(self) -> None:
        """Send as much as is taken; the lock is held."""
        while self._waiting:
            chunk = self._waiting[0]
            if self._requests[chunk.request].future.cancelled():
                self._count(chunk.request, len(chunk.images))
            elif not self._decoders.send(chunk.to_bytes()):
                return
            self._waiting.popleft()

    def _count(self, number: int, rows: int) -> _Request | None:
        """Rows that no worker will write any more; the request where none is left."""
        request = self._requests[number]
        request.missing -= rows
        return None if request.missing else self._requests.pop(number)

    def _read(self) -> None:
        """What the reading thread does: until a worker ends, by ``close`` or by accident."""
        try:
            while (reply := self._decoders.receive()) is not None:
                if reply[:1] == DONE:
                    self._arrived(*np.frombuffer(reply, np.int64, offset=1).tolist())
                else:
                    self._refused(reply[1:])
            failure = None if self._closed else self._decoders.ending()
        except Exception as error:  # noqa: BLE001  # else those who wait would wait for ever
            failure = AllnetEdgeError(f"reading decoded pixels failed: {error!r}")
        if failure is not None:
            self._fail(failure)

    def _arrived(self, number: int, rows: int) -> None:
        with self._lock:
            whole = self._count(number, rows)
            self._hand_out()
        if whole is not None:
            whole.settle()

    def _refused(self, reply: bytes) -> None:
        told = json.loads(reply)
        error = error_from_json(told)
        where = self._files.paths[told["image"]]  # as the caller called it
        failed = self._requests[told["request"]].failed
        failed[told["position"]] = type(error)(error.what, where=where, fix=error.fix)

    def _fail(self, failure: AllnetEdgeError) -> None:
        with self._lock:
            self._failure = failure
            self._waiting.clear()
            requests, self._requests = self._requests, {}
        self._decoders.kill()
        for request in requests.values():
            request.settle(failure)
