"""Frames that no cell is to be assessed in: frozen, black, saturated, of another size, damaged."""

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from camera_support import picture

from allnet_edge.device.cameras.frame import Frame
from allnet_edge.device.cameras.health import FrameCheck, Limits
from allnet_edge.device.cameras.opening import open_camera
from allnet_edge.device.fields.results import Reason

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def frame(rgb: np.ndarray, number: int = 0, seconds: float = 0.0, name: str = "") -> Frame:
    return Frame(number, rgb, NOW, round(seconds * 1e9), name)


def reasons(pictures: list[np.ndarray], *, rate_hz: float = 10, name: str = "") -> list:
    check = FrameCheck()
    found = [check.check(frame(rgb, n, n / rate_hz, name=name)) for n, rgb in enumerate(pictures)]
    return [None if why is None else why[0] for why in found]


class TestFrozen:
    def test_identical_frames_are_a_frozen_camera(self) -> None:
        found = reasons([picture(100)] * 30)
        assert found[:20] == [None] * 20  # two seconds
        assert found[20:] == [Reason.frozen] * 10

    def test_at_a_low_rate_ten_repetitions_are_needed(self) -> None:
        found = reasons([picture(100)] * 13, rate_hz=1)
        assert found == [None] * 10 + [Reason.frozen] * 3

    def test_a_still_scene_with_a_sensors_noise_is_not(self) -> None:
        assert reasons([picture(100, seed=n) for n in range(40)]) == [None] * 40

    def test_one_pixel_that_flickers_is_no_noise(self) -> None:
        still = np.repeat(picture(100, (640, 480))[None], 30, axis=0)
        still[::2, 0, 0] = 200
        assert reasons(list(still))[-1] is Reason.frozen

    def test_a_live_frame_ends_it(self) -> None:
        pictures = [picture(100)] * 25 + [picture(100, seed=1)] + [picture(100)] * 5
        found = reasons(pictures)
        assert found[24] is Reason.frozen
        assert found[25:] == [None] * 6

    def test_two_files_may_hold_the_same_picture(self) -> None:
        assert reasons([picture(100)] * 40, name="field.png") == [None] * 40

    def test_the_detail_tells_how_long(self) -> None:
        check = FrameCheck(Limits(frozen_frames=2, frozen_s=0.1))
        found = [check.check(frame(picture(100), n, n / 10)) for n in range(3)]
        assert found[2] == (Reason.frozen, "3 frames without any noise in 0.2 s")


class TestLight:
    @pytest.mark.parametrize("level", [0, 10, 20])
    def test_black(self, level: int) -> None:
        reason, detail = FrameCheck().check(frame(picture(level)))
        assert reason is Reason.dark
        assert "lens covered" in detail

    def test_a_few_hot_pixels_do_not_light_a_black_frame(self) -> None:
        rgb = picture(5, (640, 480))
        rgb[0] = 255
        assert FrameCheck().check(frame(rgb))[0] is Reason.dark

    def test_dim_is_not_black(self) -> None:
        assert FrameCheck().check(frame(picture(60))) is None

    def test_saturated(self) -> None:
        reason, detail = FrameCheck().check(frame(np.full((48, 64, 3), 255, np.uint8)))
        assert reason is Reason.bright
        assert "100% of the pixels are clipped" in detail

    def test_a_bright_background_with_cells_is_not(self) -> None:
        rgb = np.full((48, 64, 3), 255, np.uint8)
        rgb[10:30, 10:40] = picture(120, (30, 20))  # a fifth of the field
        assert FrameCheck().check(frame(rgb)) is None

    def test_one_clipped_channel_is_not(self) -> None:
        rgb = picture(150)
        rgb[..., 0] = 255
        assert FrameCheck().check(frame(rgb)) is None


class TestSize:
    def test_another_resolution_is_refused_until_a_new_slide_begins(self) -> None:
        check = FrameCheck()
        assert check.check(frame(picture(100))) is None
        for _ in range(2):
            reason, detail = check.check(frame(picture(100, (80, 60))))
            assert reason is Reason.resolution
            assert detail == "80 x 60 pixels; the slide began with 64 x 48"
        assert check.check(frame(picture(100))) is None
        check.reset()
        assert check.check(frame(picture(100, (80, 60)))) is None

    def test_fields_from_anywhere_may_have_any_size(self) -> None:
        check = FrameCheck(fixed_size=False)
        assert check.check(frame(picture(100))) is None
        assert check.check(frame(picture(100, (80, 60)))) is None


class TestFilled:
    def test_a_picture_whose_end_is_missing(self) -> None:
        rgb = picture(100)
        rgb[30:] = 128  # what JPEG decoders leave
        reason, detail = FrameCheck().check(frame(rgb))
        assert reason is Reason.damaged
        assert "cut-off" in detail

    def test_a_thin_line_is_no_damage(self) -> None:
        rgb = picture(100)
        rgb[-1] = 128
        assert FrameCheck().check(frame(rgb)) is None

    def test_a_clipped_background_at_the_lower_edge_is_no_damage(self) -> None:
        rgb = picture(100)
        rgb[40:] = 255
        assert FrameCheck().check(frame(rgb)) is None


@pytest.mark.parametrize("name", ["bccd", "aria2021"])
def test_no_real_field_is_refused(shared_data: Path, name: str) -> None:
    check = FrameCheck(fixed_size=False)
    with open_camera(str(shared_data / name)) as camera:
        for _ in range(20):
            assert check.check(camera.read(5)) is None
