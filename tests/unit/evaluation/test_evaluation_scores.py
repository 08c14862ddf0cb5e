"""Turned images and mean logits, features of shortcuts, rows of patients."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allnet_edge.data.images import decode
from allnet_edge.data.samples import LabelMap, SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.errors import DataError, ImageError
from allnet_edge.evaluation.cells import ALL, Cells
from allnet_edge.evaluation.corners import corner_notes
from allnet_edge.evaluation.features import glance
from allnet_edge.evaluation.networks import BATCH, Network
from allnet_edge.evaluation.patients import patient_rows
from allnet_edge.evaluation.pictures import each, turned
from allnet_edge.evaluation.scoring import mean_logit, score
from allnet_edge.measure.scored import Scored
from allnet_edge.spec.network import Preprocess


def disc(side: int = 60, radius: int = 18, level: int = 180, ground: int = 0) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = (y**2 + x**2 <= radius**2)[..., None]
    return np.where(inside, level, ground).astype(np.uint8).repeat(3, axis=2)


class TestTurns:
    def test_one_turn_is_the_image_itself(self):
        image = Image.fromarray(disc(32))
        np.testing.assert_array_equal(turned(image, Preprocess(size=32), 1)[0], np.array(image))

    def test_four_turns_are_quarters(self):
        pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
        found = turned(Image.fromarray(pixels), Preprocess(size=32), 4)
        for quarter in range(4):
            np.testing.assert_array_equal(found[quarter], np.rot90(pixels, quarter))

    def test_corners_of_a_crop_are_filled_by_the_image(self):
        """48 of 72 pixels, as 300 of 450: turned by 45 degrees the crop still holds no black."""
        image = Image.new("RGB", (72, 72), (200, 150, 100))
        found = turned(image, Preprocess(size=48, crop=48), 8)
        assert (found == np.array([200, 150, 100], np.uint8)).all()

    def test_without_a_crop_they_turn_black(self):
        image = Image.new("RGB", (48, 48), (200, 150, 100))
        found = turned(image, Preprocess(size=48), 8)
        assert (found[1][0, 0] == 0).all()
        assert (found[1][24, 24] == [200, 150, 100]).all()


class TestCorners:
    @staticmethod
    def cells(root: Path, ground: int) -> Cells:
        for name, level in (("dark", 60), ("light", 120)):
            (root / name).mkdir(parents=True)
            for number in range(4):
                pixels = disc(40, 12, level + number, ground)
                Image.fromarray(pixels).save(root / name / f"{number}.png")
        index = load_index(root)
        return Cells.of(ALL, index, None, LabelMap.multiclass(index.labels))

    def test_black_corners_of_fields_are_named(self, tmp_path):
        (note,) = corner_notes(self.cells(tmp_path, 230), Preprocess(size=32), 8)
        assert "the corners of these fields turn black" in note

    @pytest.mark.parametrize(
        ("ground", "crop", "turns"),
        [(0, None, 8), (230, 28, 8), (230, None, 1), (230, None, 2), (230, None, 4)],
        ids=["on black", "cropped", "one turn", "half turns", "quarter turns"],
    )
    def test_there_is_nothing_to_say_where_they_do_not_matter(self, tmp_path, ground, crop, turns):
        cells = self.cells(tmp_path, ground)
        assert corner_notes(cells, Preprocess(size=32, crop=crop), turns) == ()


class TestMeanLogit:
    def test_one_turn_changes_nothing(self):
        outputs = np.array([0.0, 0.3, 1.0])
        assert mean_logit(outputs, 1) is outputs

    def test_two_classes_have_the_mean_of_their_logits(self):
        outputs = np.array([0.9, 0.2, 0.5, 0.6])
        logit = np.log(outputs / (1 - outputs)).reshape(2, 2).mean(axis=1)
        np.testing.assert_allclose(mean_logit(outputs, 2), 1 / (1 + np.exp(-logit)))

    def test_several_classes_have_the_softmax_of_their_mean_logits(self):
        logits = np.random.default_rng(1).normal(0, 2, (6, 3))  # two images, three turns
        powers = np.exp(logits)
        outputs = powers / powers.sum(axis=1, keepdims=True)
        mean = np.exp(logits.reshape(2, 3, 3).mean(axis=1))
        expected = mean / mean.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(mean_logit(outputs, 3), expected)

    def test_a_saturated_output_stays_finite(self):
        assert np.isfinite(mean_logit(np.array([1.0, 0.0, 1.0, 1.0]), 2)).all()
        assert np.isfinite(mean_logit(np.array([[1.0, 0.0], [0.0, 1.0]]), 2)).all()


class TestScore:
    @pytest.fixture
    def index(self, tmp_path) -> SampleIndex:
        for name, level in (("dark", 60), ("light", 200)):
            (tmp_path / name).mkdir()
            for number in range(40):
                pixels = disc(40, 12, level + number)
                Image.fromarray(pixels).save(tmp_path / name / f"{number:02}.png")
        return load_index(tmp_path)

    @staticmethod
    def network(sizes: list[int], value: object = None) -> Network:
        """Says how bright the centre is."""

        def infer(images: np.ndarray) -> np.ndarray:
            sizes.append(len(images))
            if value is not None:
                return np.full(len(images), value, np.float32)
            return (images[:, 16, 16, 0] / 255).astype(np.float32)

        return Network(infer, Preprocess(size=32), "test", {})

    @pytest.mark.parametrize("turns", [1, 3, 8, 50])
    def test_every_image_is_scored_once_in_order(self, index, turns):
        sizes: list[int] = []
        found = score(self.network(sizes), index.samples, index, turns=turns)
        expected = [
            np.array(Image.open(index.path(one)).resize((32, 32), Image.Resampling.BILINEAR))[
                16, 16, 0
            ]
            / 255
            for one in index.samples
        ]
        np.testing.assert_allclose(found, expected, atol=0.02)
        assert max(sizes) <= BATCH
        assert sum(sizes) == len(index.samples) * turns

    def test_an_output_that_is_no_number_is_refused(self, index):
        with pytest.raises(DataError, match="NaN or infinite"):
            score(self.network([], np.nan), index.samples, index)

    def test_a_file_that_is_gone_is_named(self, index):
        index.path(index.samples[5]).unlink()
        with pytest.raises(ImageError, match="unreadable"):
            score(self.network([]), index.samples, index)

    def test_what_is_made_in_threads_comes_in_order(self):
        assert list(each(lambda n: n * n, list(range(300)), ahead=7)) == [n * n for n in range(300)]


class TestFeatures:
    def test_a_cell_on_black_is_seen_as_cut_out(self):
        seen = glance(disc())
        assert seen.cut_out
        share, mean, spread = seen.size_and_brightness
        assert share == pytest.approx(np.pi * 18**2 / 60**2, rel=0.02)
        assert mean == pytest.approx(180)
        assert spread == pytest.approx(0, abs=1e-9)

    def test_a_field_is_not(self):
        seen = glance(disc(level=100, ground=230))
        assert not seen.cut_out
        assert seen.size_and_brightness[0] == pytest.approx(np.pi * 18**2 / 60**2, rel=0.02)

    def test_the_background_knows_nothing_of_the_cells(self):
        """Two fields with the same background and other cells: larger, darker, of another hue."""
        first, second = disc(level=100, ground=230), disc(radius=22, level=60, ground=230)
        second[second == 60] = np.tile([90, 20, 50], (second == 60).sum() // 3)
        np.testing.assert_allclose(glance(first).background, glance(second).background)
        bluer = first.copy()
        bluer[..., 2] = np.minimum(first[..., 2] + 10, 255)
        assert glance(bluer).background[2] > glance(first).background[2] + 5

    @pytest.mark.parametrize(("folder", "cut_out"), [("cnmc", True), ("aria2021", False)])
    def test_real_cells_and_fields_are_told_apart(self, shared_data, folder, cut_out):
        files = sorted(
            path for path in (shared_data / folder).rglob("*.*") if path.suffix != ".csv"
        )
        seen = [glance(np.asarray(decode(path))).cut_out for path in files[:: len(files) // 40]]
        assert len(seen) >= 30
        assert all(one is cut_out for one in seen)

    def test_an_image_that_is_all_black_has_features(self):
        seen = glance(np.zeros((20, 20, 3), np.uint8))
        assert np.isfinite(seen.size_and_brightness).all()
        assert np.isfinite(seen.background).all()


def test_a_patient_of_two_classes_is_told_as_both():
    scored = Scored.by_threshold(
        np.array([True, False, True]), np.array([0.9, 0.8, 0.1]), 0.5, ("a", "a", "b")
    )
    rows = patient_rows(("all", "hem", "all"), scored)
    assert [row.patient for row in rows] == ["b", "a"]
    assert rows[1].label == "all+hem"
    assert (rows[1].n, rows[1].right) == (2, 1)
    assert rows[1].score == pytest.approx(0.85)


def test_the_score_of_a_patient_among_several_classes_is_that_of_the_truth():
    scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])
    scored = Scored.by_argmax(np.array([0, 1, 2]), scores, ("a", "a", "a"))
    assert patient_rows(("x", "y", "z"), scored)[0].score == pytest.approx((0.7 + 0.6 + 0.4) / 3)
