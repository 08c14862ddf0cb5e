"""Back-off, and what a camera that leaves looks like from outside."""

import threading
from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from camera_support import picture

from allnet_edge.device.cameras.frame import CameraFacts, Frame
from allnet_edge.device.cameras.opening import open_camera
from allnet_edge.device.cameras.reconnect import Backoff, Happening, Reconnecting
from allnet_edge.errors import CameraError, EnvironmentMismatch, FrameTimeout, ImageError

RGB = picture(100)


class Plug:
    """A camera on a plug: what it does next is a list of errors and of None for a frame."""

    def __init__(self, *acts: Exception | None, opens: Exception | None = None) -> None:
        self.acts, self.opens = list(acts), opens
        self.number, self.open, self.closed = 0, False, 0
        self.finite = False
        self.facts = CameraFacts("plug", "v4l2", 64, 48, None, "manual")

    def __enter__(self) -> "Plug":
        if self.opens:
            raise self.opens
        self.open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False
        self.closed += 1

    def read(self, _: float) -> Frame | None:
        assert self.open
        act = self.acts.pop(0) if self.acts else None
        if act is not None:
            raise act
        self.number += 1
        return Frame(self.number - 1, RGB, datetime.now(timezone.utc), 0)


def factory(*plugs: Plug) -> Callable[[], Plug]:
    waiting = list(plugs)
    return lambda: waiting.pop(0)


GONE = CameraError("unplugged", where="plug")
ABSENT = CameraError("no such camera")
QUICK = Backoff(first_s=0.001, cap_s=0.002)


class TestBackoff:
    def test_it_doubles_up_to_the_cap(self) -> None:
        backoff = Backoff(first_s=0.5, cap_s=10)
        waits = [backoff.wait_s(n, lambda: 1.0) for n in range(8)]
        assert waits == [0, 0.5, 1, 2, 4, 8, 10, 10]
        assert backoff.wait_s(100_000, lambda: 1.0) == 10

    def test_jitter_takes_up_to_half(self) -> None:
        backoff = Backoff(first_s=0.5, cap_s=10)
        assert backoff.wait_s(3, lambda: 0.0) == 1
        assert backoff.wait_s(3, lambda: 0.5) == 1.5


class TestReconnecting:
    def test_it_goes_on_within_one_read_and_numbers_go_on(self) -> None:
        told: list[Happening] = []
        first, second = Plug(None, None, GONE), Plug(None)
        with Reconnecting(factory(first, second), backoff=QUICK, tell=told.append) as camera:
            numbers = [camera.read(5).number for _ in range(4)]
            assert camera.facts.width == 64
        assert numbers == [0, 1, 2, 3]
        assert (first.closed, second.closed) == (1, 1)
        assert [(one.what, one.failed) for one in told] == [("lost", 1), ("back", 1)]
        assert told[0].detail == "unplugged"

    def test_waits_grow_while_it_is_absent_and_start_anew_once_it_was_back(self) -> None:
        told: list[Happening] = []
        plugs = [
            Plug(None, GONE),
            *(Plug(opens=ABSENT) for _ in range(3)),
            Plug(None, GONE),
            Plug(None),
        ]
        backoff = Backoff(first_s=0.001, cap_s=0.003)
        camera = Reconnecting(factory(*plugs), backoff=backoff, tell=told.append, draw=lambda: 1.0)
        with camera:
            for _ in range(3):
                camera.read(5)
        assert [(one.what, one.next_s) for one in told] == [
            ("lost", 0),
            ("absent", 0.001),
            ("absent", 0.002),
            ("absent", 0.003),
            ("back", 0),
            ("lost", 0),
            ("back", 0),
        ]

    def test_one_that_opens_and_gives_nothing_is_not_hammered(self) -> None:
        told: list[Happening] = []
        plugs = [Plug(GONE) for _ in range(4)] + [Plug(None)]
        camera = Reconnecting(factory(*plugs), backoff=QUICK, tell=told.append, draw=lambda: 1.0)
        with camera:
            camera.read(5)
        assert [one.next_s for one in told] == [0, 0.001, 0.002, 0.002, 0]

    def test_longer_away_than_the_timeout(self) -> None:
        plugs = [Plug(None, GONE)] + [Plug(opens=ABSENT) for _ in range(50)]
        camera = Reconnecting(factory(*plugs), backoff=Backoff(first_s=60, cap_s=60))
        with camera:
            camera.read(1)
            for _ in range(3):
                with pytest.raises(CameraError, match=r"away \(2 attempts so far\)"):
                    camera.read(0.01)

    def test_absent_at_the_start(self) -> None:
        camera = Reconnecting(factory(Plug(opens=ABSENT)))
        with pytest.raises(CameraError, match="no such camera"), camera:
            pass

    def test_absent_at_the_start_and_that_is_allowed(self) -> None:
        told: list[Happening] = []
        plugs = Plug(opens=ABSENT), Plug(None)
        camera = Reconnecting(factory(*plugs), backoff=QUICK, tell=told.append, absent_ok=True)
        with camera:
            assert not camera.here
            assert camera.facts.source == "plug"
            assert camera.read(5).number == 0
            assert camera.here
        assert [one.what for one in told] == ["absent", "back"]

    def test_damaged_frames_are_handed_on_and_lose_nothing(self) -> None:
        with Reconnecting(factory(Plug(None, ImageError("damaged"), None))) as camera:
            camera.read(1)
            with pytest.raises(ImageError):
                camera.read(1)
            assert camera.read(1).number == 1

    def test_a_short_timeout_is_no_loss_and_a_long_silence_is(self) -> None:
        now = [0.0]
        told: list[Happening] = []
        late = [FrameTimeout("late") for _ in range(5)]
        camera = Reconnecting(
            factory(Plug(None, *late), Plug(None)),
            backoff=QUICK,
            tell=told.append,
            silence_s=10,
            clock=lambda: now[0],
        )
        with camera:
            camera.read(1)
            for _ in range(3):
                now[0] += 3
                with pytest.raises(FrameTimeout):
                    camera.read(1)
            assert told == []
            now[0] += 3
            assert camera.read(1).number == 1
        assert [one.what for one in told] == ["lost", "back"]

    def test_what_no_waiting_can_mend_is_final(self) -> None:
        with pytest.raises(EnvironmentMismatch, match="GStreamer"):
            Reconnecting(lambda: open_camera("csi://0"))

    def test_a_read_that_waits_ends_when_it_is_interrupted(self) -> None:
        plugs = [Plug(None, GONE)] + [Plug(opens=ABSENT) for _ in range(50)]
        with Reconnecting(factory(*plugs), backoff=Backoff(60, 60)) as camera:
            camera.read(1)
            threading.Timer(0.1, camera.interrupt).start()
            with pytest.raises(CameraError):
                camera.read(600)
            with pytest.raises(CameraError, match="closed"):
                camera.read(600)

    def test_the_end_of_a_finite_source_is_an_end(self, tmp_path) -> None:
        from camera_support import images

        images(tmp_path, [40, 80])
        with Reconnecting(lambda: open_camera(str(tmp_path))) as camera:
            assert camera.finite
            assert [camera.read(1).number for _ in range(2)] == [0, 1]
            assert camera.read(1) is None
