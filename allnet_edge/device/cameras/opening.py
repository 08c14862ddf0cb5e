"""From the name of a source to a camera."""

from pathlib import Path

from allnet_edge.device.cameras.address import Address, understand
from allnet_edge.device.cameras.calibrated import Calibrated
from allnet_edge.device.cameras.csi import csi_camera
from allnet_edge.device.cameras.folder import ImageFiles, facts_of
from allnet_edge.device.cameras.frame import Camera
from allnet_edge.device.cameras.mjpeg import mjpeg_camera
from allnet_edge.device.cameras.pace import Pace
from allnet_edge.device.cameras.profile import CameraProfile
from allnet_edge.device.cameras.recorded import RecordedCamera, Recording
from allnet_edge.device.cameras.rtsp import rtsp_camera
from allnet_edge.device.cameras.v4l2 import v4l2_camera
from allnet_edge.device.cameras.video import VideoFile
from allnet_edge.errors import UsageError

RECORDED = ("folder", "image", "video")


def open_camera(
    source: str,
    profile: CameraProfile | None = None,
    *,
    rate_hz: float | None = None,
    repeat: bool = False,
) -> Camera:
    """Make a camera; ``with`` opens it.

    Args:
        source: ``csi://0``, a GStreamer pipeline that ends in appsink, ``v4l2:///dev/video0``,
            ``rtsp://...``, ``http(s)://...`` (MJPEG), a folder, an image or a video file.
        profile: Its calibration, and what to ask of the device; None for neither.
        rate_hz: Paces a folder, image or video, so that it acts as a live camera; None reads it as
            fast as it is taken.
        repeat: A folder, image or video begins again at its end.

    Returns:
        A camera, not yet entered; its facts tell its kind and its source without a password.

    Raises:
        UsageError: No such source, or a pace for a live camera.
        EnvironmentMismatch: A CSI camera where OpenCV has no GStreamer. (A camera that is absent or
            refuses raises ``CameraError`` when it is entered.)
    """
    address = understand(source)
    wanted = profile or CameraProfile()
    if address.kind in RECORDED:
        camera = _recorded(address, rate_hz, repeat)
    elif rate_hz is not None or repeat:
        raise UsageError(
            "a live camera has a rate of its own",
            where=address.shown,
            fix="leave the rate out; it paces a folder, an image or a video",
        )
    else:
        camera = _live(address, wanted)
    return Calibrated(camera, wanted)


def _live(address: Address, profile: CameraProfile) -> Camera:
    if address.kind == "v4l2":
        return v4l2_camera(address, profile)
    if address.kind == "csi":
        return csi_camera(address, profile)
    return rtsp_camera(address) if address.kind == "rtsp" else mjpeg_camera(address)


def _recorded(address: Address, rate_hz: float | None, repeat: bool) -> Camera:
    path, facts = Path(address.target), facts_of(address.shown, address.kind, rate_hz)
    recording: Recording = (
        VideoFile(path, facts) if address.kind == "video" else ImageFiles(path, facts)
    )
    pace = None if rate_hz is None else Pace(rate_hz)
    return RecordedCamera(recording, facts, pace=pace, repeat=repeat)
