"""Network cameras that speak RTSP, through OpenCV's FFmpeg."""

import cv2

from allnet_edge.device.cameras.address import Address
from allnet_edge.device.cameras.capture import CaptureGrabber, rate_of, size_of
from allnet_edge.device.cameras.exposure import Automatic
from allnet_edge.device.cameras.frame import CameraFacts
from allnet_edge.device.cameras.live import LiveCamera
from allnet_edge.errors import CameraError

OPEN_SECONDS = 5.0  # FFmpeg's own limits, so that its thread comes back by itself
SILENCE_SECONDS = 5.0
IN_ITS_SETTINGS = "in the camera's own settings"


def rtsp_camera(address: Address) -> LiveCamera[cv2.typing.MatLike]:
    """A camera at an ``rtsp://`` address, not yet opened."""
    shown = address.shown
    facts = CameraFacts(shown, "network", None, None, None, "unknown")
    grabber = CaptureGrabber(
        opens=lambda: _open(address),
        describes=lambda capture: _describe(capture, shown),
        lost=lambda: CameraError(
            f"the stream ended, or was silent for {SILENCE_SECONDS:g} s",
            where=shown,
            fix="check the camera's power and network",
        ),
    )
    return LiveCamera(grabber, facts)


def _open(address: Address) -> cv2.VideoCapture:
    limits = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        int(OPEN_SECONDS * 1000),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        int(SILENCE_SECONDS * 1000),
    ]
    capture = cv2.VideoCapture(address.target, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        raise CameraError(
            f"no RTSP stream from this address within {OPEN_SECONDS:g} s",
            where=address.shown,
            fix="check address, user and password (`ffprobe ADDRESS` says more), and that this "
            "machine reaches the camera's network",
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _describe(capture: cv2.VideoCapture, shown: str) -> CameraFacts:
    width, height = size_of(capture)
    warnings = Automatic().warnings(IN_ITS_SETTINGS)
    return CameraFacts(shown, "network", width, height, rate_of(capture), "unknown", warnings)
