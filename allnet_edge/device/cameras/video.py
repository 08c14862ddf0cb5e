"""A video file as a recording."""

from dataclasses import replace
from pathlib import Path

import cv2

from allnet_edge.device.cameras.capture import quiet_opencv, rate_of, rgb_of, size_of
from allnet_edge.device.cameras.frame import CameraFacts
from allnet_edge.errors import ImageError
from allnet_edge.segmentation.cell import Field

# OpenCV's wheels bring FFmpeg; JetPack's own OpenCV reads files with GStreamer.
BACKENDS = (cv2.CAP_FFMPEG, cv2.CAP_GSTREAMER, cv2.CAP_OPENCV_MJPEG)
# The number of pictures in a header is an estimate in some containers: so much less is no damage.
SHORT_PICTURES, SHORT_SHARE = 2, 0.02


class VideoFile:
    """A ``Recording``: the pictures of a video, decoded by OpenCV.

    Args:
        path: The file.
        facts: What is known before it is opened; a promised rate of it wins over the file's.
    """

    def __init__(self, path: Path, facts: CameraFacts) -> None:
        self._path, self._facts = path, facts
        self._capture: cv2.VideoCapture | None = None
        self._promised = 0
        self._seen = 0
        self._told = False

    def open(self) -> CameraFacts:
        """Open it.

        Raises:
            ImageError: It is no video, or in a format that this OpenCV cannot decode.
        """
        self._capture = _open(self._path)
        self._promised = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._seen, self._told = 0, False
        width, height = size_of(self._capture)
        rate = self._facts.rate_hz or rate_of(self._capture)
        return replace(self._facts, width=width, height=height, rate_hz=rate)

    def next(self) -> tuple[Field, str] | None:
        """Decode the next picture."""
        if self._capture is None:
            return None
        whole, picture = self._capture.read()
        if whole and picture is not None and picture.size:
            self._seen += 1
            return rgb_of(picture), ""
        short = self._promised - self._seen
        if self._told or short <= max(SHORT_PICTURES, SHORT_SHARE * self._promised):
            return None
        self._told = True
        raise ImageError(
            f"the video breaks off: {self._seen} of {self._promised} pictures can be decoded",
            where=self._path,
            fix="copy it again, or record it again",
        )

    def skip(self, count: int) -> int:
        """Pass over pictures without decoding them."""
        passed = 0
        if self._capture is not None:
            count = min(count, self._promised - self._seen - 1) if self._promised else count
            while passed < count and self._capture.grab():
                passed += 1
        self._seen += passed
        return passed

    def close(self) -> None:
        """Release it."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _open(path: Path) -> cv2.VideoCapture:
    with quiet_opencv():
        for backend in BACKENDS:
            # An absolute path: FFmpeg takes what begins with a word and a colon for a protocol.
            capture = cv2.VideoCapture(str(path.absolute()), backend)
            if capture.isOpened():
                return capture
            capture.release()
    raise ImageError(
        "not a video, or in a format that this OpenCV cannot decode",
        where=path,
        fix="convert it to Motion JPEG in AVI (`ffmpeg -i IN -c:v mjpeg -q:v 2 OUT.avi`)",
    )
