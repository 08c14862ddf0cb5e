"""One process that decodes images for `decode_pool`; it knows numpy and Pillow, and no network.

Work comes over one socket that all workers share, so that whoever is free takes the next rows.
Pixels go into memory that the parent shares, what was done over a socket of the worker's own. When
the parent is gone, however it ended, both sockets say so and the worker ends.
"""

import contextlib
import json
import mmap
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.data.pixels import ImageFiles, Pixels
from allnet_edge.errors import AllnetEdgeError, EnvironmentMismatch, error_to_json, first_line
from allnet_edge.spec.network import Preprocess

DONE, FAILED = b"+", b"!"
"""First byte of a reply: rows that are done (int64 slots), or one that failed (JSON)."""

LARGEST_MESSAGE = 1 << 16
MOST_WORKERS = 512
IDLE = -1

_IN_HAND_BYTES = 8 * MOST_WORKERS
_LOOKS_FOR_ITS_PARENT_SECONDS = 1.0


def pack(files: ImageFiles, slots: int) -> bytes:
    """What a worker is told at its start; names that are no UTF-8 survive as surrogate escapes.

    Args:
        slots: Rows of the shared memory.
    """
    told = {
        "paths": [os.path.abspath(path) for path in files.paths],  # noqa: PTH100 - keeps links
        "preprocess": files.preprocess.model_dump(mode="json"),
        "sha256": None if files.sha256 is None else list(files.sha256),
        "slots": slots,
    }
    return json.dumps(told).encode()


def unpack(told: bytes) -> tuple[ImageFiles, int]:
    """The same in the worker: files and slots."""
    fields = json.loads(told)
    files = ImageFiles(
        [Path(path) for path in fields["paths"]],
        Preprocess.model_validate(fields["preprocess"]),
        fields["sha256"],
    )
    return files, int(fields["slots"])


@dataclass(frozen=True, slots=True)
class Shared:
    """The memory that all processes see.

    Attributes:
        in_hand: int64 [workers], the image that each is decoding, or IDLE.
        compared: bool [images], whose hash has been compared.
        rows: uint8 [slots, size, size, 3].
    """

    in_hand: npt.NDArray[np.int64]
    compared: npt.NDArray[np.bool_]
    rows: Pixels

    @staticmethod
    def nbytes(images: int, slots: int, size: int) -> int:
        """How much memory it takes."""
        return _IN_HAND_BYTES + _whole_pages(images) + slots * size * size * 3

    @classmethod
    def view(cls, memory: "mmap.mmap | bytearray", images: int, slots: int, size: int) -> "Shared":
        """The parts of a piece of memory of that many bytes."""
        at = _IN_HAND_BYTES + _whole_pages(images)
        rows = np.frombuffer(memory, np.uint8, slots * size * size * 3, at)
        return cls(
            np.frombuffer(memory, np.int64, MOST_WORKERS),
            np.frombuffer(memory, np.bool_, images, _IN_HAND_BYTES),
            rows.reshape(-1, size, size, 3),
        )


def _whole_pages(nbytes: int) -> int:
    return -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE


def main() -> None:
    """Decode until the parent closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work_fd, reply_fd, memory_fd, request_fd, number, parent = (int(word) for word in sys.argv[1:])
    # Mapped, since the workers share the position of the file as well.
    files, slots = unpack(mmap.mmap(request_fd, 0, access=mmap.ACCESS_READ)[:])
    memory = mmap.mmap(memory_fd, 0)
    shared = Shared.view(memory, len(files.paths), slots, files.preprocess.size)
    with socket.socket(fileno=work_fd) as work, socket.socket(fileno=reply_fd) as reply:
        work.settimeout(_LOOKS_FOR_ITS_PARENT_SECONDS)
        while message := _next(work, parent):
            wanted = np.frombuffer(message, np.int64).reshape(-1, 2)
            for slot, index in wanted.tolist():
                shared.in_hand[number] = index
                try:
                    shared.rows[slot] = files.load(index, compare=not shared.compared[index])
                    shared.compared[index] = True
                except Exception as error:  # noqa: BLE001  # the parent is told of every one
                    reply.send(FAILED + _told(error, slot))
            shared.in_hand[number] = IDLE
            reply.send(DONE + wanted[:, 0].tobytes())


def _next(work: socket.socket, parent: int) -> bytes:
    """The next rows; empty when there will be none."""
    while os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            return work.recv(LARGEST_MESSAGE)
    return b""


def _told(error: Exception, slot: int) -> bytes:
    if isinstance(error, MemoryError):
        error = EnvironmentMismatch(
            "a process that decodes images ran out of memory",
            fix="use fewer --workers, or close other programs",
        )
    if not isinstance(error, AllnetEdgeError):
        error = AllnetEdgeError(f"decoding failed: {type(error).__name__}: {first_line(error)}")
    return json.dumps({"slot": slot, **error_to_json(error)}).encode()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, ConnectionResetError):  # the parent is gone, or wants no more
        sys.exit(0)
