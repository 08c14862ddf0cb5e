"""MJPEG over HTTP, from real servers that behave well, badly, and not at all."""

import base64
import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from camera_support import Server, endless, head, jpeg, part, read_to_the_end, silent, steady
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allnet_edge.device.cameras.address import understand
from allnet_edge.device.cameras.health import FrameCheck
from allnet_edge.device.cameras.live import LiveCamera
from allnet_edge.device.cameras.mjpeg import mjpeg_camera
from allnet_edge.device.cameras.opening import open_camera
from allnet_edge.device.cameras.reconnect import Backoff, Happening, Reconnecting
from allnet_edge.device.fields.results import Reason
from allnet_edge.errors import CameraError, FrameTimeout, ImageError

LONG = 20.0  # seconds; longer than anything here takes on a busy machine


def script(*pieces: bytes):
    """Sends these pieces and then keeps the connection open."""

    def send(_: bytes) -> Iterator[bytes]:
        yield from pieces
        threading.Event().wait(60)

    return send


def opened(server: Server, silence_s: float = 5.0) -> LiveCamera[bytes]:
    """Not entered yet."""
    return mjpeg_camera(understand(server.address), silence_s=silence_s)


class TestAGoodStream:
    def test_frames_come_in_order_with_what_was_sent(self) -> None:
        levels = [40, 90, 140, 190]
        with Server(lambda _: endless(lambda n: jpeg(levels[n % 4]))) as server:
            with open_camera(server.address) as camera:
                frames = [camera.read(LONG) for _ in range(6)]
            assert b"GET /stream HTTP/1.1" in server.requests[0]
        numbers = [frame.number for frame in frames]
        assert numbers[0] == 0
        assert numbers == sorted(set(numbers))
        assert all(later.at_ns > one.at_ns for one, later in itertools.pairwise(frames))
        for frame in frames:
            assert (frame.rgb.shape, frame.rgb.dtype) == ((48, 64, 3), np.uint8)
            assert min(abs(frame.rgb.mean() - level) for level in levels) < 3
            assert not frame.rgb.flags.writeable
            assert (frame.name, frame.taken.utcoffset().total_seconds()) == ("", 0)

    def test_facts(self) -> None:
        with Server(steady(90)) as server:
            camera = open_camera(server.address)
            before = camera.facts
            assert (before.kind, before.width, before.exposure) == ("network", None, "unknown")
            assert any("unknown whether exposure" in text for text in before.warnings)
            with camera:
                camera.read(LONG)
                assert (camera.facts.width, camera.facts.height) == (64, 48)
                assert not camera.finite

    def test_only_the_newest_waits_and_the_gap_tells_what_was_lost(self) -> None:
        sent = threading.Event()

        def send(_: bytes) -> Iterator[bytes]:
            yield head() + part(jpeg(50))
            sent.wait(LONG)
            yield b"".join(part(jpeg(level)) for level in (60, 70, 80, 200))
            threading.Event().wait(60)

        with Server(send) as server, open_camera(server.address) as camera:
            assert camera.read(LONG).number == 0
            sent.set()
            last = 0
            while last < 4:  # the four arrive at once or not: all are numbered
                last = (frame := camera.read(LONG)).number
            assert last == 4
            assert abs(frame.rgb.mean() - 200) < 3

    def test_a_stream_in_chunks_without_announced_lengths(self) -> None:
        headers = head().replace(b"Connection: close", b"Transfer-Encoding: chunked")

        def send(_: bytes) -> Iterator[bytes]:
            yield headers
            pieces = endless(lambda n: jpeg(40 + n % 4 * 50))
            for piece in itertools.islice(pieces, 1, None):
                bare = piece.replace(b"Content-Length", b"X-Length")
                yield b"%x\r\n" % len(bare) + bare + b"\r\n"

        with Server(send) as server, open_camera(server.address) as camera:
            means = [camera.read(LONG).rgb.mean() for _ in range(4)]
        assert all(min(abs(mean - level) for level in (40, 90, 140, 190)) < 3 for mean in means)

    def test_a_password_is_sent_and_not_shown(self) -> None:
        with Server(steady(90)) as server:
            source = server.address.replace("://", "://user:p%40ss@")
            with open_camera(source) as camera:
                camera.read(LONG)
                assert "p%40ss" not in repr(camera.facts)
            expected = base64.b64encode(b"user:p@ss")
            assert b"Authorization: Basic " + expected in server.requests[0]


class TestDamage:
    def test_a_corrupted_picture_is_told_and_the_next_one_follows(self) -> None:
        good = jpeg(90)
        cut, noise = good[: len(good) // 2], b"\xff\xd8" + bytes(500)
        go = threading.Semaphore(0)

        def send(_: bytes) -> Iterator[bytes]:
            yield head()
            for body in (good, cut, noise, good):
                yield part(body)
                go.acquire(timeout=LONG)
            threading.Event().wait(60)

        with Server(send) as server, open_camera(server.address) as camera:
            assert camera.read(LONG).number == 0
            for _ in range(2):
                go.release()
                with pytest.raises(ImageError):
                    camera.read(LONG)
            go.release()
            assert camera.read(LONG).number == 1  # damaged frames take no number

    def test_another_resolution_in_mid_stream(self) -> None:
        go = threading.Event()

        def send(_: bytes) -> Iterator[bytes]:
            yield head() + part(jpeg(90))
            go.wait(LONG)
            yield part(jpeg(90, (80, 60)))
            threading.Event().wait(60)

        check = FrameCheck()
        with Server(send) as server, open_camera(server.address) as camera:
            assert check.check(camera.read(LONG)) is None
            go.set()
            reason, detail = check.check(camera.read(LONG))
            assert reason is Reason.resolution
            assert detail == "80 x 60 pixels; the slide began with 64 x 48"
            assert (camera.facts.width, camera.facts.height) == (80, 60)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([part(b"x"), part(b"")]))))
    def test_random_bytes_from_a_server(self, pieces: list[bytes]) -> None:
        server = Server(lambda _: [head(), *pieces])
        with server, opened(server) as camera, pytest.raises(CameraError, match=r"ended|broke off"):
            read_to_the_end(camera, LONG)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.binary(max_size=300), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/"]))
    def test_random_bytes_in_place_of_an_answer(self, data: bytes, begin: bytes) -> None:
        server = Server(lambda _: [begin + data])
        with server, pytest.raises(CameraError), opened(server) as camera:
            camera.read(LONG)


class TestNoStream:
    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
            (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest x\r\n\r\n", "Digest"),
            (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "redirections are not followed"),
            (b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", "gives image/jpeg"),
            (b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n", "multipart"),
            (b"SSH-2.0-OpenSSH\r\n", "no connection"),
            (b"", "no connection"),
        ],
    )
    def test_what_is_no_stream_is_refused_with_the_reason(self, answer: bytes, said: str) -> None:
        with Server(lambda _: [answer]) as server:
            camera = open_camera(server.address.replace("://", "://u:secret@"))
            with pytest.raises(CameraError) as caught, camera:
                pass
        assert said in str(caught.value)
        assert "secret" not in str(caught.value)

    def test_nobody_listens(self) -> None:
        server = Server(silent)
        server.stop()
        with pytest.raises(CameraError, match="no connection"), opened(server):
            pass

    def test_a_server_that_says_nothing(self) -> None:
        server = Server(silent)
        with server, pytest.raises(CameraError, match="no connection"), opened(server, 0.2):
            pass

    def test_a_stream_that_falls_silent(self) -> None:
        stream = script(head(), part(jpeg(90)))
        with Server(stream) as server, opened(server, silence_s=1) as camera:
            assert camera.read(LONG).number == 0
            with pytest.raises(FrameTimeout, match=r"no frame within 0\.01 s"):
                camera.read(0.01)
            with pytest.raises(CameraError, match="silent for 1 s"):
                camera.read(LONG)
            with pytest.raises(CameraError, match="silent"):  # and stays so
                camera.read(LONG)

    def test_closing_does_not_wait_for_a_silent_server(self) -> None:
        with Server(script(head())) as server:
            camera = opened(server, silence_s=60)
            with camera, pytest.raises(FrameTimeout):
                camera.read(0.01)
            assert not any(
                thread.name == "camera" and thread.is_alive() for thread in threading.enumerate()
            )
            with pytest.raises(CameraError, match="not open"):
                camera.read(0.01)

    def test_a_read_that_waits_ends_when_it_is_interrupted(self) -> None:
        with Server(script(head())) as server, opened(server, silence_s=60) as camera:
            threading.Timer(0.1, camera.interrupt).start()
            with pytest.raises(CameraError, match="not open"):
                camera.read(LONG * 2)


class TestUnplugged:
    def test_it_dies_in_mid_stream_and_comes_back(self) -> None:
        told: list[Happening] = []
        server = Server(steady(90))
        port = server.port
        camera = Reconnecting(
            lambda: open_camera(f"http://127.0.0.1:{port}/"),
            backoff=Backoff(first_s=0.02, cap_s=0.1),
            tell=told.append,
        )
        with camera:
            before = [camera.read(LONG).number for _ in range(3)]
            server.stop()
            with pytest.raises(CameraError, match="is away"):
                read_to_the_end(camera, 0.2)
            assert not camera.here
            assert camera.facts.width == 64
            with Server(steady(150), port=port):
                frame = camera.read(LONG)
                assert camera.here
                assert abs(frame.rgb.mean() - 150) < 3
                assert frame.number > before[-1]
                assert camera.read(LONG).number > frame.number
        kinds = [one.what for one in told]
        assert kinds[0] == "lost"
        assert kinds[-1] == "back"
        assert set(kinds[1:-1]) == {"absent"}
        assert [one.failed for one in told] == [*range(1, len(told)), len(told) - 1]
