"""Folders, images and videos in place of a camera."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from camera_support import images, picture, video

from allnet_edge.device.cameras.folder import ImageFiles, facts_of
from allnet_edge.device.cameras.opening import open_camera
from allnet_edge.device.cameras.pace import Pace
from allnet_edge.device.cameras.recorded import RecordedCamera
from allnet_edge.errors import CameraError, FrameTimeout, ImageError, UsageError


def read_all(source: Path, **settings: object) -> list[tuple[int, str] | str]:
    """(number, name) of each frame; what is wrong with each damaged one."""
    found: list[tuple[int, str] | str] = []
    with open_camera(str(source), **settings) as camera:
        while True:
            try:
                frame = camera.read(1)
            except ImageError as error:
                found.append(error.what)
                continue
            if frame is None:
                assert camera.read(1) is None  # it stays at its end
                return found
            found.append((frame.number, frame.name))


class TestFolder:
    def test_images_come_in_the_order_of_their_names_with_their_pixels(self, tmp_path) -> None:
        images(tmp_path / "b", [30, 60])
        images(tmp_path / "a", [90])
        with open_camera(str(tmp_path)) as camera:
            assert camera.finite
            frames = [camera.read(1) for _ in range(3)]
            assert camera.read(1) is None
            facts = camera.facts
        assert [frame.name for frame in frames] == [
            "a/field000.png", "b/field000.png", "b/field001.png"
        ]  # fmt: skip
        assert [frame.number for frame in frames] == [0, 1, 2]
        assert np.array_equal(frames[2].rgb, picture(60))
        assert not frames[0].rgb.flags.writeable
        assert (facts.kind, facts.width, facts.height) == ("folder", 64, 48)
        assert facts.warnings == ()

    def test_a_corrupted_file_is_told_and_the_next_one_follows(self, tmp_path) -> None:
        images(tmp_path, [30, 60, 90, 120])
        (tmp_path / "field001.png").write_bytes(b"")
        whole = (tmp_path / "field002.png").read_bytes()
        (tmp_path / "field002.png").write_bytes(whole[: len(whole) // 2])
        found = read_all(tmp_path)
        assert found[0] == (0, "field000.png")
        assert "zero-byte" in found[1]
        assert "truncated" in found[2]
        assert found[3] == (1, "field003.png")

    @pytest.mark.parametrize("name", ["notes.txt", ".hidden.png", None])
    def test_an_empty_folder(self, tmp_path, name) -> None:
        if name:
            (tmp_path / name).write_bytes(b"x")
        with pytest.raises(UsageError, match="no image"), open_camera(str(tmp_path)):
            pass

    def test_files_that_vanish(self, tmp_path) -> None:
        images(tmp_path, [30, 60, 90])
        with open_camera(str(tmp_path)) as camera:
            assert camera.read(1).name == "field000.png"
            (tmp_path / "field001.png").unlink()
            with pytest.raises(ImageError, match="unreadable"):
                camera.read(1)
            assert camera.read(1).name == "field002.png"

    def test_a_folder_that_vanishes(self, tmp_path) -> None:
        folder = images(tmp_path / "fields", [30, 60, 90])
        with open_camera(str(folder)) as camera:
            camera.read(1)
            shutil.rmtree(folder)
            with pytest.raises(CameraError, match="vanished after 1 of 3"):
                camera.read(1)

    def test_one_image(self, tmp_path) -> None:
        path = images(tmp_path, [30]) / "field000.png"
        assert read_all(path) == [(0, "field000.png")]

    def test_begun_again_at_its_end(self, tmp_path) -> None:
        images(tmp_path, [30, 60])
        with open_camera(str(tmp_path), repeat=True) as camera:
            assert not camera.finite
            names = [camera.read(1).name for _ in range(5)]
        assert names == [f"field00{n}.png" for n in (0, 1, 0, 1, 0)]

    def test_closed_or_entered_twice(self, tmp_path) -> None:
        camera = open_camera(str(images(tmp_path, [30])))
        with pytest.raises(CameraError, match="not open"):
            camera.read(1)
        with camera:
            pass
        with pytest.raises(CameraError, match="not open"):
            camera.read(1)
        with pytest.raises(RuntimeError, match="once"), camera:
            pass


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 5_000_000_000

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


def paced(folder: Path, rate_hz: float, clock: Clock, *, repeat: bool = False) -> RecordedCamera:
    facts = facts_of("folder", "folder", rate_hz)
    pace = Pace(rate_hz, clock, clock.sleep)
    return RecordedCamera(ImageFiles(folder, facts), facts, pace=pace, repeat=repeat, clock=clock)


class TestPace:
    def test_frames_come_at_their_deadlines_however_long_each_takes(self, tmp_path) -> None:
        clock = Clock()
        with paced(images(tmp_path, range(20, 120, 10)), 10, clock) as camera:
            times = []
            for late in itertools.cycle((0.0, 0.03, 0.09)):
                frame = camera.read(1)
                if frame is None:
                    break
                times.append((frame.number, frame.at_ns))
                clock.sleep(late)
        assert times == [(n, 5_000_000_000 + n * 100_000_000) for n in range(10)]

    def test_who_comes_late_loses_frames_and_the_numbers_show_it(self, tmp_path) -> None:
        clock = Clock()
        with paced(images(tmp_path, range(20, 120, 10)), 10, clock) as camera:
            assert camera.read(1).number == 0
            clock.sleep(0.35)
            frame = camera.read(1)
            assert (frame.number, frame.name) == (3, "field003.png")
            clock.sleep(60)
            assert camera.read(1).number == 9  # the last one is never lost
            assert camera.read(1) is None

    def test_a_timeout_shorter_than_the_period(self, tmp_path) -> None:
        clock = Clock()
        with paced(images(tmp_path, [30, 60]), 1, clock) as camera:
            camera.read(0.1)
            for _ in range(9):
                with pytest.raises(FrameTimeout):
                    camera.read(0.1)
            assert camera.read(0.2).number == 1

    def test_damaged_frames_keep_the_pace_and_take_no_number(self, tmp_path) -> None:
        clock = Clock()
        (images(tmp_path, [30, 60, 90]) / "field001.png").write_bytes(b"x")
        with paced(tmp_path, 10, clock) as camera:
            camera.read(1)
            with pytest.raises(ImageError):
                camera.read(1)
            frame = camera.read(1)
        assert (frame.number, frame.name) == (1, "field002.png")
        assert frame.at_ns == 5_200_000_000

    def test_repeated_without_an_end(self, tmp_path) -> None:
        clock = Clock()
        with paced(images(tmp_path, [30, 60]), 10, clock, repeat=True) as camera:
            frames = [camera.read(1) for _ in range(5)]
        assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
        assert [frame.name[7] for frame in frames] == ["0", "1", "0", "1", "0"]

    def test_by_the_real_clock(self, tmp_path) -> None:
        with open_camera(str(images(tmp_path, [30, 60, 90])), rate_hz=200) as camera:
            first = last = camera.read(5)
            while (frame := camera.read(5)) is not None:
                last = frame
            assert camera.facts.rate_hz == 200
        assert last.at_ns - first.at_ns >= 2 * 5_000_000  # two periods, and never less
        assert last.name == "field002.png"

    @pytest.mark.parametrize("rate", [0, -1, float("nan"), 1e9])
    def test_a_rate_that_no_camera_has(self, tmp_path, rate) -> None:
        with pytest.raises(UsageError, match="no rate"):
            open_camera(str(tmp_path), rate_hz=rate)

    def test_a_live_camera_has_a_rate_of_its_own(self) -> None:
        with pytest.raises(UsageError, match="of its own"):
            open_camera("rtsp://127.0.0.1/x", rate_hz=10)


class TestVideo:
    def test_every_frame_of_it(self, tmp_path) -> None:
        path = video(tmp_path / "clip.avi", range(40, 240, 20))
        with open_camera(str(path)) as camera:
            assert (camera.facts.width, camera.facts.height) == (64, 48)
            assert (camera.facts.kind, camera.facts.rate_hz) == ("video", 25)
            for number in range(10):
                frame = camera.read(1)
                assert (frame.number, frame.name) == (number, "")
                assert abs(frame.rgb.mean() - (40 + 20 * number)) < 4
                assert not frame.rgb.flags.writeable
            assert camera.read(1) is None

    def test_colours_are_rgb(self, tmp_path) -> None:
        path = tmp_path / "red.avi"
        import cv2

        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
        writer.write(np.full((48, 64, 3), (0, 0, 200), np.uint8))
        writer.release()
        with open_camera(str(path)) as camera:
            red, green, blue = camera.read(1).rgb.mean((0, 1))
        assert red > 150
        assert max(green, blue) < 50

    def test_a_truncated_video_gives_what_it_has_and_says_so(self, tmp_path) -> None:
        path = video(tmp_path / "clip.avi", [90] * 40)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        found = read_all(path)
        assert 5 < len(found) < 30
        assert [one[0] for one in found[:-1]] == list(range(len(found) - 1))
        assert "breaks off" in found[-1]

    @pytest.mark.parametrize("content", [b"", b"no video at all", bytes(5000)])
    def test_what_is_no_video(self, tmp_path, content) -> None:
        path = tmp_path / "clip.mp4"
        path.write_bytes(content)
        with pytest.raises(ImageError, match="not a video"), open_camera(str(path)):
            pass

    def test_paced_it_loses_frames(self, tmp_path) -> None:
        path = video(tmp_path / "clip.avi", range(40, 240, 20))
        from allnet_edge.device.cameras.video import VideoFile

        clock, facts = Clock(), facts_of("clip", "video", 10)
        recording = VideoFile(path, facts)
        pace = Pace(10, clock, clock.sleep)
        with RecordedCamera(recording, facts, pace=pace, clock=clock) as camera:
            assert camera.read(1).number == 0
            clock.sleep(0.45)
            frame = camera.read(1)
            assert frame.number == 4
            assert abs(frame.rgb.mean() - 120) < 4
            clock.sleep(60)
            assert camera.read(1).number == 9
            assert camera.read(1) is None

    def test_repeated(self, tmp_path) -> None:
        path = video(tmp_path / "clip.avi", [40, 140])
        with open_camera(str(path), repeat=True) as camera:
            means = [round(camera.read(1).rgb.mean(), -1) for _ in range(5)]
        assert means == [40, 140, 40, 140, 40]
