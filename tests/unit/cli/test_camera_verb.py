"""allnet-edge camera: what it tells, what it stores, and its exit codes."""

import json
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from allnet_edge.artifacts.appearance import APPEARANCE, Appearance
from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.files import canonical_json
from allnet_edge.cli.camera import counts_cells
from allnet_edge.cli.main import main
from allnet_edge.device.cameras.frame import CameraFacts, Frame
from allnet_edge.device.cameras.matching import CellSizes
from allnet_edge.device.cameras.profile import MATCHED, MICROMETRES, read_profile
from allnet_edge.device.field import find_cells

SIX = (0.1, 0.2, 0.3, 0.1, 0.1, 0.1)


def camera(capsys, *arguments: object) -> tuple[int, dict, str]:
    code = main(["camera", *map(str, arguments), "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


def smear(
    cells: int, seed: int, size: tuple[int, int] = (320, 240), apart: tuple[int, int] = (70, 70)
) -> Image.Image:
    """A phantom field: pink ground with noise, and white cells of 40 px with violet nuclei."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, (225, 205, 210))
    draw = ImageDraw.Draw(image)
    for n in range(cells):
        x, y = 50 + apart[0] * (n % 4), 50 + apart[1] * (n // 4)
        draw.ellipse((x - 20, y - 20, x + 20, y + 20), fill=(180, 175, 215))
        draw.ellipse((x - 13, y - 13, x + 13, y + 13), fill=(90, 40, 140))
    noise = rng.integers(-4, 5, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    """Three fields of eight cells each."""
    folder = tmp_path / "fields"
    folder.mkdir()
    for n in range(3):
        smear(8, n).save(folder / f"field{n}.png")
    return folder


def appearance(**changes: object) -> bytes:
    known = Appearance(
        background="smear",
        side=128,
        diameter_of="nucleus",
        diameter=(30.0, 52.0, 70.0),
        n=100,
        fitted_on=50,
        colour_mean=SIX,
        colour_covariance=tuple(
            tuple(float(row == column) for column in range(6)) for row in range(6)
        ),
    )
    return canonical_json(known.model_copy(update=changes).model_dump(mode="json"))


class TestLooking:
    def test_it_tells_what_the_camera_gives(self, fields, capsys) -> None:
        code, found, said = camera(capsys, fields)
        assert code == 0
        assert (found["kind"], found["width"], found["height"]) == ("folder", 320, 240)
        assert (found["frames"], found["damaged"], found["measured_rate_hz"]) == (3, 0, None)
        expected = np.asarray(Image.open(fields / "field0.png").convert("L")).mean()
        assert found["brightness"]["median"] == pytest.approx(expected, abs=2)
        assert found["sharpness"]["low"] > 0
        assert (found["calibration"], found["saved"], found["warnings"]) == (None, None, [])
        assert found["research_use_only"] is True
        assert "makes a diagnosis" in said

    def test_a_table_for_people(self, fields, capsys) -> None:
        assert main(["camera", str(fields), "--quiet"]) == 0
        printed = capsys.readouterr()
        assert "320 x 240" in printed.out
        assert "not calibrated" in printed.out
        assert printed.err == ""

    def test_damaged_and_black_frames_are_warned_of(self, fields, capsys) -> None:
        (fields / "field1.png").write_bytes(b"x")
        Image.new("RGB", (320, 240)).save(fields / "field2.png")
        code, found, said = camera(capsys, fields)
        assert (code, found["frames"], found["damaged"]) == (0, 2, 1)
        assert found["refused"] == {"under-exposed": 1}
        assert "1 of 3 frames would be refused, under-exposed" in said
        assert "1 of 3 frames are damaged" in said

    def test_no_frame_that_could_be_decoded(self, tmp_path, capsys) -> None:
        (tmp_path / "a.png").write_bytes(b"x")
        code, found, _ = camera(capsys, tmp_path)
        assert code == 9
        assert "not one of 1 frames" in found["error"]["what"]

    @pytest.mark.parametrize(
        ("source", "expected"),
        [("v4l2:///dev/video77", 3), ("no/such/path", 2), ("rtps://h/a", 2), ("", 2)],
    )
    def test_a_source_that_is_not_there(self, source, expected, capsys) -> None:
        assert camera(capsys, source)[0] == expected

    def test_a_password_is_nowhere(self, capsys) -> None:
        code, found, said = camera(capsys, "http://user:secret@127.0.0.1:1/")
        assert code == 3
        assert "secret" not in json.dumps(found) + said

    def test_without_opencv_it_names_the_extra(self, fields) -> None:
        asks = (
            "import sys; sys.modules['cv2'] = None; from allnet_edge.cli.main import main;"
            f"sys.exit(main(['camera', {str(fields)!r}]))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", asks], check=False, capture_output=True, text=True
        )
        assert ended.returncode == 3
        assert "pip install 'allnet-edge[field]'" in ended.stderr

    def test_help_is_quick(self) -> None:
        asks = (
            "import sys; from allnet_edge.cli.main import main; main(['camera', '--help']);"
            "sys.exit(bool({'cv2', 'numpy', 'PIL'} & set(sys.modules)))"
        )
        subprocess.run([sys.executable, "-c", asks], check=True, capture_output=True)


class TestMicrometres:
    def test_from_a_stage_micrometre_stored_with_the_camera(self, fields, tmp_path, capsys) -> None:
        path = tmp_path / "microscope.toml"
        code, found, _ = camera(
            capsys, fields, "--stage-pixels", 1000, "--stage-um", 85, "--save", path
        )
        assert code == 0
        assert found["calibration"] == {"how": "micrometres", "um_per_px": 0.085}
        assert found["saved"] == str(path)
        profile = read_profile(path)
        assert (profile.name, profile.um_per_px) == ("microscope", 0.085)
        assert (profile.width, profile.height) == (320, 240)

    def test_a_stored_profile_is_brought_up_to_date(self, fields, tmp_path, capsys) -> None:
        path = tmp_path / "p.json"
        camera(capsys, fields, "--um-per-px", 0.1, "--name", "bench 3, 100x", "--save", path)
        code, found, _ = camera(capsys, fields, "--manual-exposure", "--save", path)
        assert code == 0
        assert found["profile"] == {
            "name": "bench 3, 100x",
            "um_per_px": 0.1,
            "scale_to": {},
            "width": 320,
            "height": 240,
            "exposure": "manual",
        }

    def test_a_calibration_of_another_size_is_dropped_and_that_is_said(
        self, fields, tmp_path, capsys
    ) -> None:
        path = tmp_path / "p.json"
        camera(capsys, fields, "--um-per-px", 0.1, "--save", path)
        for image in fields.iterdir():
            smear(2, 0, (640, 480)).save(image)
        code, found, said = camera(capsys, fields, "--save", path)
        assert code == 0
        assert "320 x 240 pixels is dropped" in said
        assert found["profile"]["um_per_px"] is None
        assert read_profile(path).width == 640

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--stage-pixels", 10),
            ("--stage-um", 10),
            ("--um-per-px", 0),
            ("--um-per-px", "nan"),
            ("--um-per-px", 5000),
            ("--um-per-px", 1, "--stage-pixels", 1, "--stage-um", 1),
            ("--um-per-px", 1, "--match", "bundle"),
            ("--size", "large"),
            ("--size", "0x0"),
            ("--name", ""),
            ("--frames", 0),
        ],
    )
    def test_contradictions_are_refused_before_anything_is_stored(
        self, arguments, fields, tmp_path, capsys
    ) -> None:
        path = tmp_path / "p.json"
        code, found, _ = camera(capsys, fields, *arguments, "--save", path)
        assert code == 2, found
        assert not path.exists()

    def test_a_damaged_profile_is_refused_and_kept(self, fields, tmp_path, capsys) -> None:
        path = tmp_path / "p.json"
        path.write_text("{")
        assert camera(capsys, fields, "--um-per-px", 1, "--save", path)[0] == 2
        assert path.read_text() == "{"


class TestMatching:
    def test_cells_are_made_as_large_as_the_training_cells(
        self, fields, make_bundle, tmp_path, capsys
    ) -> None:
        root, path = make_bundle(more={APPEARANCE: appearance()}), tmp_path / "p.toml"
        code, found, said = camera(capsys, fields, "--match", root, "--save", path)
        assert code == 0, found
        sizes = [
            cell.nucleus_diameter
            for n in range(3)
            for cell in find_cells(np.asarray(smear(8, n)))
            if not cell.cut
        ]
        matched = found["calibration"]
        assert (matched["how"], matched["of"]) == ("matched by cell size", "nucleus")
        assert matched["cells"] == len(sizes) == 24
        assert matched["scale"] == pytest.approx(52 / np.median(sizes))
        assert matched["scale"] == pytest.approx(2.0, rel=0.15)  # drawn 26 px across
        assert matched["low"] <= matched["median"] <= matched["high"]
        assert "can no longer be seen" in said
        bundle = Bundle.open(root)
        profile = read_profile(path)
        assert profile.scale(bundle.appearance, bundle.sha256) == (matched["scale"], MATCHED)
        assert profile.scale(bundle.appearance, "0" * 64)[0] == 1.0

    def test_micrometres_are_better_where_the_bundle_has_them(
        self, fields, make_bundle, tmp_path, capsys
    ) -> None:
        root = make_bundle(more={APPEARANCE: appearance(um_per_px=0.05)})
        path = tmp_path / "p.toml"
        camera(capsys, fields, "--match", root, "--save", path)
        camera(capsys, fields, "--um-per-px", 0.1, "--save", path)
        bundle, profile = Bundle.open(root), read_profile(path)
        assert profile.scale(bundle.appearance, bundle.sha256) == (2.0, MICROMETRES)
        assert set(profile.scale_to) == {bundle.sha256}

    def test_a_live_camera_that_rests_on_a_field_counts_its_cells_once(self, make_bundle) -> None:
        sizes = CellSizes(Bundle.open(make_bundle(more={APPEARANCE: appearance()})))
        show = counts_cells(CameraFacts("a", "network", None, None, None, "unknown"), sizes)
        fields = [(8, (70, 70)), (5, (55, 95))]
        now, number = datetime.now(timezone.utc), 0
        for cells, apart in fields * 2:  # and back to the first one
            for _ in range(4):
                rgb = np.asarray(smear(cells, number, apart=apart))
                show(Frame(number, rgb, now, number))
                number += 1
        assert sizes.fields == 2
        assert 8 <= sizes.cells <= 13

    def test_too_few_cells(self, fields, make_bundle, tmp_path, capsys) -> None:
        root, path = make_bundle(more={APPEARANCE: appearance()}), tmp_path / "p.toml"
        (fields / "field2.png").unlink()
        code, found, _ = camera(capsys, fields, "--match", root, "--save", path)
        assert code == 9
        assert "16 cells in 2 fields are too few" in found["error"]["what"]
        assert not path.exists()

    @pytest.mark.parametrize("more", [None, {APPEARANCE: appearance(diameter=None)}])
    def test_a_bundle_that_does_not_say_how_large_its_cells_are(
        self, more, fields, make_bundle, capsys
    ) -> None:
        code, found, _ = camera(capsys, fields, "--match", make_bundle(more=more))
        assert code == 2
        assert "does not say how large" in found["error"]["what"]

    def test_a_folder_that_is_no_bundle(self, fields, capsys) -> None:
        assert camera(capsys, fields, "--match", fields)[0] == 2

    def test_a_changed_bundle(self, fields, make_bundle, capsys) -> None:
        root = make_bundle(more={APPEARANCE: appearance()})
        shutil.copy(root / "manifest.json", root / APPEARANCE)
        assert camera(capsys, fields, "--match", root)[0] == 7
