"""Real servers and real files that stand in for cameras."""

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from allnet_edge.device.cameras.frame import Camera
from allnet_edge.errors import ImageError

BOUNDARY = "frame"
HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary={}\r\n"
    "Connection: close\r\n\r\n"
)


def picture(level: int, size: tuple[int, int] = (64, 48), seed: int = 0) -> np.ndarray:
    """uint8 [height, width, 3]: a level with some noise, as a sensor has it."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(-3, 4, (size[1], size[0], 3))
    return np.clip(noise + level, 0, 255).astype(np.uint8)


def jpeg(level: int, size: tuple[int, int] = (64, 48)) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture(level, size)).save(data, "JPEG", quality=95)
    return data.getvalue()


def part(body: bytes, *, length: bool = True) -> bytes:
    said = f"Content-Length: {len(body)}\r\n" if length else ""
    return f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n{said}\r\n".encode() + body + b"\r\n"


def head(boundary: str = BOUNDARY) -> bytes:
    return HEAD.format(boundary).encode()


def endless(body: Callable[[int], bytes], pause_s: float = 0.01) -> Iterator[bytes]:
    """A stream that never ends, in its own time."""
    yield head()
    number = 0
    while True:
        yield part(body(number))
        number += 1
        time.sleep(pause_s)


def steady(level: int) -> Callable[[bytes], Iterator[bytes]]:
    """A camera that looks at one grey level."""
    body = jpeg(level)
    return lambda _: endless(lambda _: body)


class Server:
    """A TCP server on the loopback; each connection is sent what ``script`` yields.

    Args:
        script: Makes the pieces to send, from the request; after the last one the connection is
            closed.
        port: 0 for any that is free.
    """

    def __init__(self, script: Callable[[bytes], Iterable[bytes]], port: int = 0) -> None:
        self._script = script
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self._connections: list[socket.socket] = []
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """As if the plug was pulled: nobody listens, every connection is cut."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            request = connection.recv(65536)
            self.requests.append(request)
            for piece in self._script(request):
                if self._stop.is_set():
                    return
                connection.sendall(piece)
        except OSError:
            return
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def silent(_: bytes) -> Iterator[bytes]:
    """Takes the connection and says nothing."""
    yield b""
    threading.Event().wait(60)


def read_to_the_end(camera: Camera, timeout_s: float) -> None:
    """Damaged frames are passed over; ends with the camera's error."""
    while True:
        with contextlib.suppress(ImageError):
            camera.read(timeout_s)


def video(path: Path, levels: Iterable[int], size: tuple[int, int] = (64, 48)) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, size)
    assert writer.isOpened()
    for level in levels:
        writer.write(np.ascontiguousarray(picture(level, size)[..., ::-1]))
    writer.release()
    return path


def images(folder: Path, levels: Iterable[int], size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, level in enumerate(levels):
        Image.fromarray(picture(level, size)).save(folder / f"field{number:03}.png")
    return folder
