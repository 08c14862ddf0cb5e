"""USB cameras under Linux: Video4Linux2.

Written after the documentation of V4L2 and OpenCV; no such camera was at hand to try it on.
"""

import os
import stat
from pathlib import Path

import cv2

from allnet_edge.device.cameras.address import Address
from allnet_edge.device.cameras.capture import CaptureGrabber, rate_of, size_of
from allnet_edge.device.cameras.exposure import MANUAL, Automatic, from_opencv, from_v4l2_ctl
from allnet_edge.device.cameras.frame import CameraFacts
from allnet_edge.device.cameras.live import LiveCamera
from allnet_edge.device.cameras.profile import CameraProfile
from allnet_edge.errors import CameraError, UsageError

PATIENCE = 3  # pictures in a row that may fail to decode: a loose cable damages single ones


def v4l2_camera(address: Address, profile: CameraProfile) -> LiveCamera[cv2.typing.MatLike]:
    """A camera at a device file, not yet opened.

    Motion JPEG is asked for, since USB 2 carries no uncompressed pictures of a microscope's size
    at a useful rate; one buffer, so that the newest picture is seen; the size of the profile.

    Args:
        address: With the device file as its target.
        profile: Size and exposure to ask for.
    """
    device = address.target
    facts = CameraFacts(address.shown, "v4l2", None, None, None, "unknown")
    grabber = CaptureGrabber(
        opens=lambda: _open(device, address.shown, profile),
        describes=lambda capture: _describe(capture, device, address.shown),
        lost=lambda: _lost(device, address.shown),
        gone=lambda: not Path(device).exists(),
        patience=PATIENCE,
    )
    return LiveCamera(grabber, facts)


def _open(device: str, shown: str, profile: CameraProfile) -> cv2.VideoCapture:
    _check(device, shown)
    capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
    if not capture.isOpened():
        raise CameraError(
            "the camera does not open",
            where=shown,
            fix="close other programs that use it; a UVC camera has two device files, of which "
            "one gives pictures: see `v4l2-ctl --list-devices`",
        )
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    if profile.width and profile.height:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, profile.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, profile.height)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if profile.exposure == "manual":
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL)
        capture.set(cv2.CAP_PROP_AUTO_WB, 0)
    return capture


def _check(device: str, shown: str) -> None:
    """Refuse by name what OpenCV would refuse without a word."""
    try:
        mode = Path(device).stat().st_mode
    except OSError as error:
        there = sorted(str(path) for path in Path("/dev").glob("video*"))
        raise CameraError(
            "there is no such camera",
            where=shown,
            fix=f"plug it in; there is: {', '.join(there) or 'no camera at all'}",
        ) from error
    if not stat.S_ISCHR(mode):
        raise UsageError("this is no camera's device file", where=shown, fix="such as /dev/video0")
    if not os.access(device, os.R_OK | os.W_OK):
        raise CameraError(
            "this user may not use the camera",
            where=shown,
            fix="sudo usermod -aG video $USER, then log in again",
        )


def _describe(capture: cv2.VideoCapture, device: str, shown: str) -> CameraFacts:
    automatic = _automatic(capture, device)
    width, height = size_of(capture)
    warnings = automatic.warnings(f"(v4l2-ctl -d {device} --list-ctrls-menus shows how)")
    return CameraFacts(shown, "v4l2", width, height, rate_of(capture), automatic.word, warnings)


def _automatic(capture: cv2.VideoCapture, device: str) -> Automatic:
    """From ``v4l2-ctl`` where it is, which names its controls; else from OpenCV's numbers."""
    asked = from_v4l2_ctl(device)
    if asked is not None and asked.exposure is not None:
        return asked
    return from_opencv(capture.get(cv2.CAP_PROP_AUTO_EXPOSURE), capture.get(cv2.CAP_PROP_AUTO_WB))


def _lost(device: str, shown: str) -> CameraError:
    if not Path(device).exists():
        return CameraError("the camera was unplugged", where=shown, fix="plug it in again")
    return CameraError(
        "the camera gives no more pictures", where=shown, fix="unplug it and plug it in again"
    )
