"""Pictures as files: the live view's JPEG, made once however many look at it; a cell's PNG."""

import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from allnet_edge.errors import DataError

JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture that can be shown.

    Attributes:
        key: Names the picture: two shots with one key show the same.
        rgb: uint8 ``[height, width, 3]``, RGB.
        at_ns: ``time.monotonic_ns`` when it arrived.
    """

    key: str
    rgb: NDArray[np.uint8]
    at_ns: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A shot as a JPEG file."""

    key: str
    data: bytes


class JpegOnce:
    """Encodes each shot once: a hundred who ask for one frame cost one encoding."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Encoded | None = None

    def of(self, shot: Shot) -> Encoded:
        """The shot as a file."""
        known = self.known(shot)
        if known is not None:
            return known
        with self._lock:
            known = self.known(shot)
            if known is None:
                known = self._last = Encoded(shot.key, jpeg(shot.rgb))
            return known

    def known(self, shot: Shot) -> Encoded | None:
        """The same if it is made already."""
        last = self._last
        return last if last is not None and last.key == shot.key else None


def jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """A field of view for the eye; the network never sees it."""
    return _encode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def png(rgb: NDArray[np.uint8]) -> bytes:
    """A cell without loss."""
    return _encode(".png", rgb, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _encode(suffix: str, rgb: NDArray[np.uint8], options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise DataError(f"a picture of {rgb.shape} could not be written as {suffix}")
    return data.tobytes()
