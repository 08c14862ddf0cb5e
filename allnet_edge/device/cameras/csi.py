"""Ribbon-cable cameras, and every other GStreamer pipeline.

Written after the documentation of JetPack and libcamera; no such camera was at hand to try it on.
"""

import cv2

from allnet_edge.device.cameras.address import Address
from allnet_edge.device.cameras.capture import CaptureGrabber, rate_of, size_of
from allnet_edge.device.cameras.exposure import of_pipeline
from allnet_edge.device.cameras.frame import CameraFacts
from allnet_edge.device.cameras.live import LiveCamera
from allnet_edge.device.cameras.profile import CameraProfile
from allnet_edge.errors import CameraError, EnvironmentMismatch
from allnet_edge.measure.system import DeviceClass, describe

WIDTH, HEIGHT, RATE = 1920, 1080, 30
_SINK = "video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"


def csi_camera(address: Address, profile: CameraProfile) -> LiveCamera[cv2.typing.MatLike]:
    """A CSI camera by its number, or a whole pipeline; not yet opened.

    Args:
        address: The number of the sensor, or a pipeline, as its target.
        profile: Size and exposure to ask for; a whole pipeline is taken as it is.

    Raises:
        EnvironmentMismatch: This OpenCV has no GStreamer, or this machine no CSI camera known to
            us.
    """
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise EnvironmentMismatch(
            f"OpenCV {cv2.__version__} of this environment has no GStreamer, which a CSI camera "
            "needs; the opencv-python wheels never have it",
            where=address.shown,
            fix="on a Jetson use JetPack's own OpenCV (python3-opencv; make the venv with "
            "--system-site-packages and uninstall opencv-python-headless from it); on a Raspberry "
            "Pi the same with Debian's python3-opencv; or use a USB or network camera",
        )
    pipeline = address.target
    if pipeline.isdigit():
        pipeline = pipeline_of(int(pipeline), describe().device_class, profile)
    facts = CameraFacts(address.shown, "csi", None, None, None, "unknown")
    grabber = CaptureGrabber(
        opens=lambda: _open(pipeline, address.shown),
        describes=lambda capture: _describe(capture, pipeline, address.shown),
        lost=lambda: CameraError(
            "the pipeline gives no more pictures", where=address.shown, fix="check the cable"
        ),
    )
    return LiveCamera(grabber, facts)


def pipeline_of(sensor: int, device: DeviceClass, profile: CameraProfile) -> str:
    """The GStreamer pipeline of a CSI camera.

    Args:
        sensor: Its number.
        device: A Jetson takes NVIDIA's source, a Raspberry Pi libcamera's.
        profile: Size (1920 x 1080 where it has none) and exposure.

    Raises:
        EnvironmentMismatch: Neither of them.
    """
    width, height = profile.width or WIDTH, profile.height or HEIGHT
    manual = profile.exposure == "manual"
    if device == "jetson":
        locks = " aelock=true awblock=true" if manual else ""
        return (
            f"nvarguscamerasrc sensor-id={sensor}{locks} ! video/x-raw(memory:NVMM),"
            f"width={width},height={height},framerate={RATE}/1 ! nvvidconv ! "
            f"video/x-raw,format=BGRx ! videoconvert ! {_SINK}"
        )
    if device == "raspberry-pi" and sensor == 0:
        locks = " ae-enable=false awb-enable=false" if manual else ""
        return (
            f"libcamerasrc{locks} ! video/x-raw,width={width},height={height},"
            f"framerate={RATE}/1 ! videoconvert ! {_SINK}"
        )
    raise EnvironmentMismatch(
        f"csi://{sensor} is known on a Jetson and (number 0) on a Raspberry Pi; this is neither",
        fix="give a whole GStreamer pipeline that ends in appsink as the source",
    )


def _open(pipeline: str, shown: str) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise CameraError(
            "the GStreamer pipeline does not start",
            where=shown,
            fix="try it with gst-launch-1.0; on a Jetson restart nvargus-daemon; close other "
            "programs that use the camera",
        )
    return capture


def _describe(capture: cv2.VideoCapture, pipeline: str, shown: str) -> CameraFacts:
    automatic = of_pipeline(pipeline)
    width, height = size_of(capture)
    warnings = automatic.warnings("in the pipeline (aelock=true awblock=true on a Jetson)")
    return CameraFacts(shown, "csi", width, height, rate_of(capture), automatic.word, warnings)
