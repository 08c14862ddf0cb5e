"""The calibration of a camera, on disk and applied."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from camera_support import images
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.device.cameras.opening import open_camera
from allnet_edge.device.cameras.profile import (
    MATCHED,
    MICROMETRES,
    NOT_CALIBRATED,
    CameraProfile,
    Matched,
    read_profile,
    write_profile,
)
from allnet_edge.errors import OutputDirError, RecipeError

SHA = "ab" * 32
BY_SIZE = Matched(scale=1.5, cells=40, median=20.0, low=18.0, high=23.0, of="nucleus")


@dataclass
class Trained:
    um_per_px: float | None


class TestScale:
    def test_micrometres_win(self) -> None:
        profile = CameraProfile(um_per_px=0.1, scale_to={SHA: BY_SIZE})
        assert profile.scale(Trained(0.05), SHA) == (2.0, MICROMETRES)

    @pytest.mark.parametrize("trained", [None, Trained(None)])
    def test_else_what_was_matched_with_this_bundle(self, trained) -> None:
        profile = CameraProfile(um_per_px=0.1, scale_to={SHA: BY_SIZE})
        assert profile.scale(trained, SHA) == (1.5, MATCHED)

    def test_another_bundle_is_not_calibrated_for(self) -> None:
        assert CameraProfile(scale_to={SHA: BY_SIZE}).scale(None, "cd" * 32) == (
            1.0,
            NOT_CALIBRATED,
        )
        assert CameraProfile().scale(Trained(0.05), SHA) == (1.0, NOT_CALIBRATED)

    def test_a_scale_that_cannot_be(self) -> None:
        with pytest.raises(RecipeError, match="would scale cells by"):
            CameraProfile(um_per_px=500).scale(Trained(0.05), SHA)


class TestFile:
    @given(
        st.sampled_from([".toml", ".json"]),
        st.builds(
            CameraProfile,
            name=st.text(min_size=1, max_size=20).filter(str.isprintable),
            um_per_px=st.none() | st.floats(1e-6, 1000),
            scale_to=st.sampled_from([{}, {SHA: BY_SIZE}]),
            width=st.just(640),
            height=st.just(480),
            exposure=st.sampled_from(["leave", "manual"]),
        ),
    )
    def test_it_comes_back_as_it_was(self, tmp_path_factory, suffix, profile) -> None:
        path = tmp_path_factory.getbasetemp() / f"profile{suffix}"
        write_profile(path, profile)
        assert read_profile(path) == profile

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("p.toml", "um_per_pixel = 1", "did you mean um_per_px"),
            ("p.json", '{"um_per_px": -1}', "um_per_px"),
            ("p.json", '{"um_per_px": NaN}', "um_per_px"),
            ("p.json", '{"width": 640}', "belong together"),
            ("p.json", '{"scale_to": {"x": {}}}', "scale_to"),
            ("p.json", '{"name": "a\\u0007b"}', "cannot be printed"),
            ("p.json", "[1]", "dictionary"),
            ("p.json", "{", "not valid JSON"),
            ("p.json", "[" * 100_000, "not valid JSON"),
            ("p.toml", "=", "not valid TOML"),
        ],
    )
    def test_a_damaged_file_is_refused_by_name(self, tmp_path: Path, name, text, said) -> None:
        (tmp_path / name).write_text(text)
        with pytest.raises(RecipeError, match=said) as caught:
            read_profile(tmp_path / name)
        assert caught.value.exit_code == 2

    def test_an_absent_file(self, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match="No such file"):
            read_profile(tmp_path / "p.json")

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(OutputDirError, match="cannot write"):
            write_profile(tmp_path / "no" / "p.json", CameraProfile())


def test_a_camera_of_another_size_than_its_calibration_is_warned_of(tmp_path: Path) -> None:
    source = str(images(tmp_path, [90]))
    profile = CameraProfile(um_per_px=0.1, width=128, height=96)
    with open_camera(source, profile) as camera:
        assert camera.facts.warnings == ()
        camera.read(1)
        (warning,) = camera.facts.warnings
        assert "64 x 48" in warning
        assert "128 x 96" in warning
    fitting = CameraProfile(um_per_px=0.1, width=64, height=48)
    with open_camera(source, fitting) as camera:
        camera.read(1)
        assert camera.facts.warnings == ()
