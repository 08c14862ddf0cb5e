"""New fields told from old ones: shifted crops of one large smear, real and synthetic."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from allnet_edge.device.live.novelty import ALIKE, OVERLAP, Copy, FieldChooser
from allnet_edge.segmentation.cell import Field

HEIGHT, WIDTH = 240, 320


def smear(seed: int, height: int = 900, width: int = 1200) -> Field:
    """Red discs and some violet ones on a light ground."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), (226, 221, 228))
    draw = ImageDraw.Draw(image)
    for n in range(height * width // 1500):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        r = rng.uniform(11, 15)
        colour = (120, 80, 160) if n % 25 == 0 else (205, 150, 160)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    return np.asarray(image)


def seen(large: Field, x: int, y: int, seed: int = 0, light: int = 0) -> Field:
    """What a camera sees of it there, with noise and another lamp."""
    rng = np.random.default_rng([seed, x, y])
    window = large[y : y + HEIGHT, x : x + WIDTH].astype(np.float64) + light
    return np.clip(window + rng.normal(0, 4, window.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def large() -> Field:
    return smear(1)


def stay(chooser: FieldChooser, large: Field, x: int, y: int, frames: int = 3) -> list[str]:
    return [chooser.look(seen(large, x, y, seed)) for seed in range(frames)]


class TestOverlap:
    @pytest.mark.parametrize(
        ("right", "down"),
        [
            (0, 0),
            (64, 24),
            (-64, 24),
            (128, 0),
            (160, 72),
            (0, -168),
            (200, 50),
            (-224, 0),
            (0, 190),
        ],
    )
    def test_the_shift_is_found(self, large, right, down):
        first = Copy(seen(large, 400, 300, 1))
        second = Copy(seen(large, 400 + right, 300 + down, 2, light=9))
        found = first.overlap(second)
        truly = (1 - abs(right) / WIDTH) * (1 - abs(down) / HEIGHT)
        assert found.share == pytest.approx(truly, abs=0.03)
        assert found.shift == pytest.approx((right / WIDTH, down / HEIGHT), abs=0.02)

    def test_other_places_have_nothing_in_common(self, large):
        places = [(x, y) for x in (0, 400, 800) for y in (0, 300, 600)]
        copies = [Copy(seen(large, *place)) for place in places]
        found = [a.overlap(b).correlation for a in copies for b in copies if a is not b]
        assert max(found) < ALIKE

    def test_on_real_smears(self, shared_data: Path):
        files = sorted((shared_data / "bccd" / "JPEGImages").glob("*.jpg"))[::8]
        if not files:
            pytest.skip("BCCD is absent")
        fields = [np.asarray(Image.open(path).convert("RGB")) for path in files]
        found, shares = [], (0.0, 0.3, 0.6, 0.75)
        for field in fields:
            first = Copy(seen(field, 0, 0))
            for share in shares:
                second = Copy(seen(field, round(share * WIDTH), 0, 5, light=-6))
                found.append(first.overlap(second).correlation >= ALIKE)
        assert np.mean(found) >= 0.98
        copies = [Copy(seen(field, 100, 100)) for field in fields]
        wrong = [a.overlap(b).correlation >= ALIKE for a, b in pairwise(copies)]
        assert sum(wrong) <= 1


class TestFieldChooser:
    def test_a_stage_that_stands_still_gives_one_field(self, large):
        assert stay(FieldChooser(), large, 0, 0, 6) == ["moving", "new", *["repeated"] * 4]

    def test_each_new_place_is_one_field(self, large):
        chooser = FieldChooser()
        choices = [stay(chooser, large, x, 0) for x in (0, 350, 700)]
        assert choices == [["moving", "new", "repeated"]] * 3

    def test_a_place_that_is_seen_twice_in_part_is_not_counted_again(self, large):
        chooser = FieldChooser()
        stay(chooser, large, 0, 0)
        assert "new" not in stay(chooser, large, round(0.5 * WIDTH), 0)
        assert "new" not in stay(chooser, large, round(0.5 * WIDTH), round(0.4 * HEIGHT))

    def test_little_enough_in_common_is_a_new_field(self, large):
        chooser = FieldChooser()
        stay(chooser, large, 0, 0)
        assert "new" in stay(chooser, large, round((1 - OVERLAP / 2) * WIDTH), 0)

    def test_coming_back_is_no_new_field(self, large):
        chooser = FieldChooser()
        for x in (0, 350, 700):
            stay(chooser, large, x, 0)
        assert "new" not in stay(chooser, large, 10, 5)

    def test_while_the_stage_moves_nothing_is_taken(self, large):
        chooser = FieldChooser()
        choices = [chooser.look(seen(large, x, 0)) for x in range(0, 800, 20)]
        assert choices == ["moving"] * 40

    def test_another_lamp_is_no_new_field(self, large):
        chooser = FieldChooser()
        stay(chooser, large, 0, 0)
        brighter = [chooser.look(seen(large, 0, 0, seed, light=15)) for seed in range(3)]
        assert "new" not in brighter

    def test_an_empty_field_is_taken_once(self):
        chooser = FieldChooser()
        empty = np.full((1000, 1000, 3), 228, np.uint8)
        assert stay(chooser, empty, 0, 0, 5).count("new") == 1
        assert "new" not in stay(chooser, empty, 500, 500, 5)

    def test_a_new_slide_begins_anew(self, large):
        chooser = FieldChooser()
        stay(chooser, large, 0, 0)
        chooser.forget()
        assert "new" in stay(chooser, large, 0, 0)

    def test_another_resolution_is_no_error(self, large):
        chooser = FieldChooser()
        stay(chooser, large, 0, 0)
        other = [chooser.look(seen(large, 0, 0)[:, :160]) for _ in range(2)]
        assert other == ["moving", "new"]
