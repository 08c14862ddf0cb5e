"""Network cameras that send Motion JPEG over HTTP.

Each picture is decoded as an image file is, by ``data.images``, and only if somebody reads it.
"""

import base64
import http.client
import socket
from collections import deque
from urllib.parse import unquote, urlsplit

import numpy as np

from allnet_edge.data.images import decode
from allnet_edge.device.cameras.address import Address
from allnet_edge.device.cameras.exposure import Automatic
from allnet_edge.device.cameras.frame import CameraFacts
from allnet_edge.device.cameras.live import LiveCamera
from allnet_edge.device.cameras.multipart import Parts
from allnet_edge.device.cameras.rtsp import IN_ITS_SETTINGS
from allnet_edge.errors import CameraError, ImageError, first_line
from allnet_edge.segmentation.cell import Field

SILENCE_SECONDS = 5.0  # to connect, and between two pieces of the stream
CHUNK = 64 * 1024
CHECK = "check the camera's power and network"


def mjpeg_camera(address: Address, *, silence_s: float = SILENCE_SECONDS) -> LiveCamera[bytes]:
    """A camera at an ``http://`` or ``https://`` address, not yet opened.

    Args:
        address: May hold user and password, which are sent as HTTP Basic.
        silence_s: Seconds without a byte after which the camera counts as gone.
    """
    facts = _facts(address.shown)
    return LiveCamera(MjpegGrabber(address, silence_s), facts)


class MjpegGrabber:
    """A ``Grabber`` for ``multipart/x-mixed-replace``.

    Args:
        address: Of the stream.
        silence_s: As of ``mjpeg_camera``.
    """

    def __init__(self, address: Address, silence_s: float = SILENCE_SECONDS) -> None:
        self._address, self._silence = address, silence_s
        self._socket: socket.socket | None = None
        self._response: http.client.HTTPResponse | None = None
        self._parts = Parts("")
        self._ready: deque[bytes | ImageError] = deque()

    def open(self) -> CameraFacts:
        """Connect, and look at what the camera is going to send."""
        try:
            self._response = self._ask()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._error(f"no connection: {first_line(error)[:200]}") from None
        status, kind = self._response.status, self._response.headers.get_content_type()
        if status != http.HTTPStatus.OK:
            raise self._refused(status)
        boundary = self._response.headers.get_boundary()
        if not kind.startswith("multipart/") or not boundary:
            raise self._error(
                f"the address gives {kind}, not an MJPEG stream (multipart/x-mixed-replace)",
                "use the address of the stream, not that of a page or of a single picture",
            )
        self._parts = Parts(boundary)
        return _facts(self._address.shown)

    def grab(self) -> bytes:
        """Wait for the next part of the stream."""
        while not self._ready:
            self._ready.extend(self._parts.feed(self._more()))
        part = self._ready.popleft()
        if isinstance(part, ImageError):
            raise part
        return part

    def close(self) -> None:
        """Hang up."""
        if self._response is not None:
            self._response.close()
        if self._socket is not None:
            self._socket.close()

    def interrupt(self) -> None:
        """Hang up at once, so that a waiting ``grab`` ends."""
        waiting = self._socket
        if waiting is None:
            return
        try:
            waiting.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was quicker

    def develop(self, raw: bytes) -> Field:
        """Decode one picture."""
        return pixels_of(raw)

    def _ask(self) -> http.client.HTTPResponse:
        parts = urlsplit(self._address.target)
        secure = parts.scheme.lower() == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self._silence)
        connection.connect()
        self._socket = connection.sock
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers=_login(parts.username, parts.password))
        return connection.getresponse()

    def _more(self) -> bytes:
        if self._response is None:
            raise self._error("the stream is closed")
        try:
            data = self._response.read1(CHUNK)
        except TimeoutError:
            raise self._error(f"silent for {self._silence:g} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._error(f"the stream broke off: {first_line(error)[:200]}") from None
        if not data:
            raise self._error("the stream ended")
        return data

    def _refused(self, status: int) -> CameraError:
        fixes = {
            401: "write user and password into the address, http://user:password@...; a camera "
            "that asks for Digest has to be set to Basic, or read by its rtsp:// address",
            403: "check user and password",
            404: "check the path of the address",
        }
        if 300 <= status < 400:
            fixes[status] = "redirections are not followed: use the address of the stream itself"
        return self._error(f"the camera answers with HTTP status {status}", fixes.get(status))

    def _error(self, what: str, fix: str | None = CHECK) -> CameraError:
        return CameraError(what, where=self._address.shown, fix=fix)


def pixels_of(data: bytes) -> Field:
    """Read-only pixels of an encoded image, upright, RGB.

    Raises:
        ImageError: As ``data.images.decode``.
    """
    rgb = np.asarray(decode(data), dtype=np.uint8)
    rgb.setflags(write=False)
    return rgb


def _facts(shown: str) -> CameraFacts:
    warnings = Automatic().warnings(IN_ITS_SETTINGS)
    return CameraFacts(shown, "network", None, None, None, "unknown", warnings)


def _login(user: str | None, password: str | None) -> dict[str, str]:
    headers = {"Accept": "multipart/x-mixed-replace"}
    if user is not None:
        pair = f"{unquote(user)}:{unquote(password or '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return headers
