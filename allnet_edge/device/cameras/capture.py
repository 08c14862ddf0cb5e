"""Devices that OpenCV reads: V4L2, CSI through GStreamer, RTSP through FFmpeg."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from allnet_edge.device.cameras.frame import CameraFacts
from allnet_edge.errors import CameraError, ImageError
from allnet_edge.segmentation.cell import Field

Open = Callable[[], cv2.VideoCapture]
Describe = Callable[[cv2.VideoCapture], CameraFacts]


class CaptureGrabber:
    """A ``Grabber`` around ``cv2.VideoCapture``.

    Args:
        opens: Opens the device, or raises ``CameraError``.
        describes: Asks an open device what it is.
        lost: The error for a device that gives no more pictures.
        gone: Whether the device has visibly left.
        patience: So many pictures in a row may fail to decode before the device counts as lost.
    """

    def __init__(
        self,
        opens: Open,
        describes: Describe,
        lost: Callable[[], CameraError],
        *,
        gone: Callable[[], bool] = lambda: False,
        patience: int = 0,
    ) -> None:
        self._opens, self._describes, self._lost = opens, describes, lost
        self._gone, self._patience = gone, patience
        self._capture: cv2.VideoCapture | None = None
        self._failed = 0

    def open(self) -> CameraFacts:
        """Open the device."""
        with quiet_opencv():
            self._capture = self._opens()
            return self._describes(self._capture)

    def grab(self) -> cv2.typing.MatLike:
        """Wait for the next picture."""
        if self._capture is None:
            raise self._lost()
        whole, picture = self._capture.read()
        if whole and picture is not None and picture.size:
            self._failed = 0
            return picture
        self._failed += 1
        if self._failed > self._patience or self._gone():
            raise self._lost()
        raise ImageError("the camera gave a picture that cannot be decoded")

    def close(self) -> None:
        """Release the device."""
        if self._capture is not None:
            self._capture.release()

    def interrupt(self) -> None:
        """Nothing: OpenCV has no way to end a call that is held."""

    def develop(self, raw: cv2.typing.MatLike) -> Field:
        """RGB of what OpenCV decoded."""
        return rgb_of(raw)


def rgb_of(picture: cv2.typing.MatLike) -> Field:
    """OpenCV's BGR, or grey, as read-only RGB.

    Args:
        picture: uint8 ``[height, width]`` or ``[height, width, 1, 3 or 4]``.

    Raises:
        ImageError: Another shape, or more than 8 bits a channel.
    """
    channels = 1 if picture.ndim == 2 else picture.shape[-1]
    codes = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or channels not in codes:
        raise ImageError(f"the camera gave {picture.dtype} pixels of shape {picture.shape}")
    rgb = np.asarray(cv2.cvtColor(picture, codes[channels]), dtype=np.uint8)
    rgb.setflags(write=False)
    return rgb


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """No messages of OpenCV and FFmpeg on stderr: they quote addresses with their passwords."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, by the first capture
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


def size_of(capture: cv2.VideoCapture) -> tuple[int | None, int | None]:
    """Width and height that the device says; None where it says nothing."""
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    return (width, height) if width > 0 and height > 0 else (None, None)


def rate_of(capture: cv2.VideoCapture) -> float | None:
    """Frames a second that the device says; None where it says nothing believable."""
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0 < rate <= 1000 else None
