"""The processes behind `decode_pool`: starting them, talking to them, telling how one ended."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import ExitStack

from allnet_edge.data.decode_worker import LARGEST_MESSAGE, pack
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.data.shared_pixels import IDLE, SharedPixels
from allnet_edge.errors import AllnetEdgeError, EnvironmentMismatch, ImageError

FEWER = "use fewer --workers or close other programs, then go on with --resume"
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}
_ENVIRONMENT = {
    # The workers share the cores already; OpenBLAS would start a thread a core in each.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # Else glibc gives the buffers of every image back to the system and gets them page by page
    # for the next one: a third of the time that a bitmap takes.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}


class Decoders:
    """Worker processes with their sockets.

    Args:
        memory: What they decode into.

    Raises:
        OSError: There is no process to be had.
    """

    def __init__(self, files: ImageFiles, workers: int, memory: SharedPixels) -> None:
        self._files = files
        self._held = ExitStack()  # sockets and descriptors of this process
        self._processes: list[subprocess.Popen[bytes]] = []
        self._replies: list[socket.socket] = []
        self._ready: deque[int] = deque()
        self._heard = 0
        self._poll = select.poll()
        self._in_hand = memory.mapped.in_hand
        try:
            self._said = self._descriptor("said")
            request = self._descriptor("request")
            with os.fdopen(os.dup(request), "wb") as stream:
                stream.write(pack(files))
            self._start(workers, memory.descriptor, request)
        except BaseException:
            self.kill()
            self.close()
            raise

    def _descriptor(self, name: str) -> int:
        descriptor = os.memfd_create(name)
        self._held.callback(os.close, descriptor)
        return descriptor

    def _start(self, workers: int, memory: int, request: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._work = self._held.enter_context(ours)
        self._work.setblocking(False)
        with theirs:
            for number in range(workers):
                self._start_one(number, theirs.fileno(), memory, request)

    def _start_one(self, number: int, work: int, memory: int, request: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._replies.append(self._held.enter_context(ours))
        self._poll.register(ours, select.POLLIN)
        passed = (work, theirs.fileno(), memory, request)
        with theirs:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "allnet_edge.data.decode_worker"),
                    *(str(word) for word in (*passed, number, os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                pass_fds=passed,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,  # Ctrl-C is for the parent, who ends them
            )
        self._processes.append(process)

    def __len__(self) -> int:
        return len(self._replies)

    def send(self, message: bytes) -> bool:
        """Give work to whoever is free first; False where it has to wait for replies."""
        try:
            self._work.send(message)
        except (BlockingIOError, BrokenPipeError):  # full, or all have ended: receive tells
            return False
        return True

    def receive(self) -> bytes | None:
        """Wait for a reply; None once any worker has ended."""
        while not self._ready:
            by_descriptor = {reply.fileno(): n for n, reply in enumerate(self._replies)}
            self._ready.extend(by_descriptor[descriptor] for descriptor, _ in self._poll.poll())
        self._heard = self._ready.popleft()
        return self._replies[self._heard].recv(LARGEST_MESSAGE) or None

    def ending(self) -> AllnetEdgeError:
        """After ``receive`` gave None: how that worker ended, and with which image in hand."""
        process = self._processes[self._heard]
        code = _exit_code(process)
        image = int(self._in_hand[self._heard])
        where = None if image == IDLE else self._files.paths[image]
        if code == -signal.SIGKILL:
            return EnvironmentMismatch(
                "a process that decodes images was killed, as the system does for lack of memory",
                where=where,
                fix=FEWER,
            )
        if -code in _CRASHES and where is not None:
            return ImageError(
                f"decoding crashed with {signal.Signals(-code).name}",
                where=where,
                fix="convert the image, or remove it; then go on with --resume",
            )
        ended = f"code {code}" if code >= 0 else f"signal {-code}"
        said = os.pread(self._said, 1 << 20, 0).decode(errors="replace").strip()
        return EnvironmentMismatch(
            f"a process that decodes images ended with {ended}: {said[-500:] or 'no word'}",
            where=where,
            fix=FEWER,
        )

    def kill(self) -> None:
        """End all; they hold nothing that could be lost."""
        for process in self._processes:
            process.kill()

    def close(self) -> None:
        """Wait for their end and release everything; after ``kill``."""
        for process in self._processes:
            process.wait()
        self._held.close()


def _exit_code(process: "subprocess.Popen[bytes]") -> int:
    """Its sockets close a moment before it has ended."""
    try:
        return process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
