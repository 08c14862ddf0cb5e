"""Cameras that are not there: RTSP without an answer, V4L2 and CSI without a device."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from camera_support import Server, endless, jpeg, read_to_the_end, silent, steady

from allnet_edge.device.cameras import rtsp
from allnet_edge.device.cameras.address import Address
from allnet_edge.device.cameras.capture import rgb_of
from allnet_edge.device.cameras.csi import pipeline_of
from allnet_edge.device.cameras.opening import open_camera
from allnet_edge.device.cameras.profile import CameraProfile
from allnet_edge.device.cameras.rtsp import rtsp_camera
from allnet_edge.errors import (
    CameraError,
    EnvironmentMismatch,
    FrameTimeout,
    ImageError,
    UsageError,
)


def closed_port() -> int:
    server = Server(silent)
    server.stop()
    return server.port


def test_rtsp_where_nobody_listens_says_so_without_the_password(capfd) -> None:
    source = f"rtsp://user:secret@127.0.0.1:{closed_port()}/stream"
    with pytest.raises(CameraError, match="no RTSP stream") as caught, open_camera(source):
        pass
    printed = capfd.readouterr()
    assert "user:***@127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value) + repr(caught.value) + printed.out + printed.err


def test_rtsp_that_takes_the_connection_and_says_nothing(monkeypatch, capfd) -> None:
    monkeypatch.setattr(rtsp, "OPEN_SECONDS", 0.5)
    with Server(silent) as server:
        source = f"rtsp://user:secret@127.0.0.1:{server.port}/stream"
        with pytest.raises(CameraError, match=r"within 0\.5 s") as caught, open_camera(source):
            pass
    assert "secret" not in str(caught.value) + capfd.readouterr().err


class TestFfmpeg:
    """The camera that RTSP uses, on a stream that FFmpeg reads by the same calls."""

    def test_frames_and_the_end_of_the_stream(self) -> None:
        with Server(steady(90)) as server:
            camera = rtsp_camera(Address("rtsp", server.address, "shown"))
            with camera:
                frames = [camera.read(20) for _ in range(3)]
                assert (camera.facts.width, camera.facts.height) == (64, 48)
                assert camera.facts.source == "shown"
                server.stop()
                with pytest.raises(CameraError, match="ended"):
                    read_to_the_end(camera, 20)
        numbers = [frame.number for frame in frames]
        assert numbers[0] == 0
        assert numbers == sorted(set(numbers))
        assert abs(frames[-1].rgb.mean() - 90) < 3
        assert not frames[-1].rgb.flags.writeable

    def test_a_read_that_ffmpeg_holds_keeps_nobody(self) -> None:
        def send(_: bytes) -> Iterator[bytes]:
            yield from itertools.islice(endless(lambda _: jpeg(90)), 30)
            threading.Event().wait(60)

        with Server(send) as server:
            camera = rtsp_camera(Address("rtsp", server.address, "shown"))
            with camera, pytest.raises(FrameTimeout):
                read_to_the_end(camera, 0.2)
            with pytest.raises(CameraError, match="not open"):
                camera.read(0.01)


def test_control_c_ends_the_program_while_a_driver_holds_its_thread() -> None:
    with Server(silent) as server:
        source = f"rtsp://user:secret@127.0.0.1:{server.port}/stream"
        running = subprocess.Popen(
            [sys.executable, "-m", "allnet_edge", "camera", source],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OPENCV_FFMPEG_LOGLEVEL": "56"},  # all that FFmpeg can say
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        while not server.requests and running.poll() is None:
            time.sleep(0.02)  # until FFmpeg waits for an answer
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=60)[1]
    assert running.returncode == 130, said
    assert "interrupted" in said
    assert "secret" not in said


class TestV4l2:
    @pytest.mark.parametrize("source", ["v4l2:///dev/video77", "/dev/video77"])
    def test_an_absent_camera(self, source: str) -> None:
        camera = open_camera(source)
        assert (camera.facts.kind, camera.facts.width) == ("v4l2", None)
        with pytest.raises(CameraError, match="no such camera"), camera:
            pass

    def test_what_is_no_device_file(self, tmp_path) -> None:
        path = tmp_path / "video0"
        path.write_bytes(b"x")
        camera = open_camera(f"v4l2://{path}")
        with pytest.raises(UsageError, match="no camera's device file"), camera:
            pass

    def test_a_device_that_is_no_camera(self) -> None:
        with pytest.raises(CameraError, match="does not open"), open_camera("v4l2:///dev/null"):
            pass


@pytest.mark.skipif(
    cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER), reason="this OpenCV has GStreamer"
)
@pytest.mark.parametrize("source", ["csi://0", "videotestsrc ! appsink"])
def test_csi_without_gstreamer_names_the_opencv_that_has_it(source: str) -> None:
    with pytest.raises(EnvironmentMismatch) as caught:
        open_camera(source)
    assert caught.value.exit_code == 3
    assert "no GStreamer" in str(caught.value)
    assert "JetPack's own OpenCV" in str(caught.value)


class TestPipeline:
    def test_of_a_jetson(self) -> None:
        profile = CameraProfile(width=1280, height=720)
        text = pipeline_of(1, "jetson", profile)
        assert text.startswith("nvarguscamerasrc sensor-id=1 ! ")
        assert "width=1280,height=720" in text
        assert text.endswith("appsink drop=true max-buffers=1 sync=false")

    def test_of_a_raspberry_pi_with_its_automatics_off(self) -> None:
        text = pipeline_of(0, "raspberry-pi", CameraProfile(exposure="manual"))
        assert text.startswith("libcamerasrc ae-enable=false awb-enable=false ! ")
        assert "width=1920,height=1080" in text

    def test_of_another_machine(self) -> None:
        with pytest.raises(EnvironmentMismatch, match="neither"):
            pipeline_of(0, "host-proxy", CameraProfile())


class TestPixels:
    def test_grey_and_colour_become_rgb(self) -> None:
        assert rgb_of(np.full((4, 5), 7, np.uint8)).tolist() == [[[7] * 3] * 5] * 4
        assert rgb_of(np.full((1, 1, 3), (1, 2, 3), np.uint8)).tolist() == [[[3, 2, 1]]]
        assert rgb_of(np.full((1, 1, 4), (1, 2, 3, 4), np.uint8)).tolist() == [[[3, 2, 1]]]

    @pytest.mark.parametrize("shape", [(4,), (4, 5, 2)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ImageError):
            rgb_of(np.zeros(shape, np.uint8))

    def test_sixteen_bits_are_refused(self) -> None:
        with pytest.raises(ImageError, match="uint16"):
            rgb_of(np.zeros((4, 5), np.uint16))
