"""One process that decodes images for `decode_pool`; it knows numpy and Pillow, and no network.

Work comes over one socket that all workers share, so that whoever is free takes the next rows.
Pixels go into memory that the parent shares, what was done over a socket of the worker's own. When
the parent is gone, however it ended, both sockets say so and the worker ends.
"""

import contextlib
import gc
import json
import mmap
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge.data.pixels import ImageFiles
from allnet_edge.data.shared_pixels import IDLE, Mapped
from allnet_edge.errors import AllnetEdgeError, EnvironmentMismatch, error_to_json, first_line
from allnet_edge.spec.network import Preprocess

DONE, FAILED = b"+", b"!"
"""First byte of a reply: the number of a request and how many of its rows are done (int64 [2]), or
one that failed (JSON)."""

LARGEST_MESSAGE = 1 << 16

_LOOKS_FOR_ITS_PARENT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a request, that follow each other in its batch.

    Attributes:
        request: Its number.
        position: Of the first row in the batch.
        start: Where that row begins in the shared pixels, bytes.
        images: Which files.
    """

    request: int
    position: int
    start: int
    images: list[int]

    def to_bytes(self) -> bytes:
        """As it travels to a worker."""
        words = [self.request, self.position, self.start, *self.images]
        return np.array(words, np.int64).tobytes()

    @classmethod
    def from_bytes(cls, message: bytes) -> "Chunk":
        """The same in the worker."""
        request, position, start, *images = np.frombuffer(message, np.int64).tolist()
        return cls(request, position, start, images)


def pack(files: ImageFiles) -> bytes:
    """What a worker is told at its start; names that are no UTF-8 survive as surrogate escapes."""
    told = {
        "paths": [os.path.abspath(path) for path in files.paths],  # noqa: PTH100 - keeps links
        "preprocess": files.preprocess.model_dump(mode="json"),
        "sha256": None if files.sha256 is None else list(files.sha256),
    }
    return json.dumps(told).encode()


def unpack(told: bytes) -> ImageFiles:
    """The same in the worker."""
    fields = json.loads(told)
    return ImageFiles(
        [Path(path) for path in fields["paths"]],
        Preprocess.model_validate(fields["preprocess"]),
        fields["sha256"],
    )


def main() -> None:
    """Decode until the parent closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work_fd, reply_fd, memory_fd, request_fd, number, parent = (int(word) for word in sys.argv[1:])
    # Mapped, since the workers share the position of the file as well.
    files = unpack(mmap.mmap(request_fd, 0, access=mmap.ACCESS_READ)[:])
    memory = Mapped.of(mmap.mmap(memory_fd, 0), len(files.paths))
    gc.freeze()  # what stays need not be looked through again after every few images
    with socket.socket(fileno=work_fd) as work, socket.socket(fileno=reply_fd) as reply:
        work.settimeout(_LOOKS_FOR_ITS_PARENT_SECONDS)
        while message := _next(work, parent):
            chunk = Chunk.from_bytes(message)
            for failure in _decode(chunk, files, memory, number):
                reply.send(FAILED + failure)
            reply.send(DONE + np.array([chunk.request, len(chunk.images)], np.int64).tobytes())


def _decode(chunk: Chunk, files: ImageFiles, memory: Mapped, number: int) -> Iterator[bytes]:
    """Decode rows to where they belong; yields what to tell of those that failed."""
    size = files.preprocess.size
    part = memory.pixels[chunk.start : chunk.start + len(chunk.images) * size * size * 3]
    rows = part.reshape(-1, size, size, 3)
    for n, image in enumerate(chunk.images):
        memory.in_hand[number] = image
        try:
            files.load(image, compare=not memory.compared[image], out=rows[n])
            memory.compared[image] = True
        except Exception as error:  # noqa: BLE001  # the parent is told of every one
            where = {"request": chunk.request, "position": chunk.position + n, "image": image}
            yield json.dumps({**error_to_json(_known(error)), **where}).encode()
    memory.in_hand[number] = IDLE


def _next(work: socket.socket, parent: int) -> bytes:
    """The next rows; empty when there will be none."""
    while os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            return work.recv(LARGEST_MESSAGE)
    return b""


def _known(error: Exception) -> AllnetEdgeError:
    """The error of our tree that says what happened."""
    if isinstance(error, AllnetEdgeError):
        return error
    if isinstance(error, MemoryError):
        return EnvironmentMismatch(
            "a process that decodes images ran out of memory",
            fix="use fewer --workers, or close other programs",
        )
    return AllnetEdgeError(f"decoding failed: {type(error).__name__}: {first_line(error)}")


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, ConnectionResetError):  # the parent is gone, or wants no more
        sys.exit(0)
