import errno
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from allnet_edge.artifacts.files import hash_tree
from allnet_edge.data.phantom import Phantoms, generate, write_dataset
from allnet_edge.data.phantom.cell import LARGEST_RADIUS, Canvas, render
from allnet_edge.data.phantom.population import draw_cell, draw_patient, stream
from allnet_edge.errors import OutputDirError, StorageError, UsageError

NAME = re.compile(r"UID_(H?\d+)_(\d+)_(\d+)_(all|hem)\.png")


@pytest.fixture(scope="module")
def crowd() -> Phantoms:
    return generate(600, patients=60, seed=5)


def masks(cells: Phantoms) -> npt.NDArray[np.bool_]:
    return np.asarray(cells.images.max(axis=3) > 0)


def is_all(cells: Phantoms) -> npt.NDArray[np.bool_]:
    return np.array([label == "all" for label in cells.labels])


def reachable(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pixels of `mask` connected to its middle, by growing (an oracle without SciPy)."""
    grown = np.zeros_like(mask)
    grown[mask.shape[0] // 2, mask.shape[1] // 2] = True
    while True:
        wide = grown.copy()
        wide[1:] |= grown[:-1]
        wide[:-1] |= grown[1:]
        wide[:, 1:] |= grown[:, :-1]
        wide[:, :-1] |= grown[:, 1:]
        wide &= mask
        if (wide == grown).all():
            return grown
        grown = wide


class TestGenerate:
    def test_one_seed_one_result(self) -> None:
        first, second = generate(12, patients=6, seed=3), generate(12, patients=6, seed=3)
        assert first.images.dtype == np.uint8
        assert first.images.shape == (12, 128, 128, 3)
        np.testing.assert_array_equal(first.images, second.images)
        assert (first.labels, first.patients) == (second.labels, second.patients)

    def test_another_seed_is_another_population(self) -> None:
        first, second = generate(6, patients=6, seed=3), generate(6, patients=6, seed=4)
        same = (first.images == second.images).all(axis=(1, 2, 3))
        assert not same.any()

    def test_a_cell_does_not_depend_on_how_many_there_are(self) -> None:
        few = generate(14, patients=7, seed=9, size=64)
        many = generate(27, patients=9, seed=9, size=64)
        for name in set(few.patients):
            here = [few.images[k] for k, p in enumerate(few.patients) if p == name]
            there = [many.images[k] for k, p in enumerate(many.patients) if p == name]
            for i, image in enumerate(here):
                np.testing.assert_array_equal(image, there[i])

    def test_streams_of_patients_and_cells_differ(self) -> None:
        keys = [(0,), (0, 0), (1,), (1, 0), (0, 1), (1, 1)]
        draws = {stream(seed, *key).random() for seed in (0, 1, 2**32) for key in keys}
        assert len(draws) == 3 * len(keys)

    def test_no_two_cells_are_alike(self, crowd: Phantoms) -> None:
        assert len({image.tobytes() for image in crowd.images}) == len(crowd.images)

    def test_patients_have_one_class_and_six_of_ten_have_leukemia(self, crowd: Phantoms) -> None:
        classes = defaultdict(set)
        for patient, label in zip(crowd.patients, crowd.labels, strict=True):
            classes[patient].add(label)
        assert all(len(labels) == 1 for labels in classes.values())
        assert len(classes) == 60
        assert sum(p.startswith("all:") for p in classes) == 36
        assert "hem:H1" in classes

    @pytest.mark.parametrize("patients", [6, 7, 8, 11, 30])
    def test_every_fold_has_both_classes(self, patients: int) -> None:
        people = [draw_patient(0, number) for number in range(patients)]
        assert {(p.fold, p.label) for p in people} == {
            (fold, label) for fold in range(3) for label in ("all", "hem")
        }
        assert len({p.name for p in people}) == patients

    @pytest.mark.parametrize(
        ("settings", "named", "advice"),
        [
            ({"n": 20, "patients": 5}, "5 patients", "6 patients or more"),
            ({"n": 11, "patients": 12}, "11 images", "12 images or more"),
            ({"n": 20, "patients": 6, "seed": -1}, "seed -1", "positive"),
            ({"n": 20, "patients": 6, "size": 16}, "16 pixels", "32 or more"),
        ],
    )
    def test_refusals_say_what_to_do(
        self, settings: dict[str, int], named: str, advice: str
    ) -> None:
        with pytest.raises(UsageError) as caught:
            generate(**settings)
        assert named in caught.value.what
        assert advice in (caught.value.fix or "")


class TestAppearance:
    def test_the_background_is_pure_black_and_reaches_every_border(self, crowd: Phantoms) -> None:
        mask = masks(crowd)
        border = np.ones((128, 128), dtype=bool)
        border[4:-4, 4:-4] = False
        assert not mask[:, border].any()
        assert not (crowd.images[~mask] != 0).any()
        assert (crowd.images[mask] > 0).all()

    def test_a_cell_is_one_piece_in_the_middle(self, crowd: Phantoms) -> None:
        for mask in masks(crowd)[:60]:
            assert reachable(mask).sum() >= 0.99 * mask.sum()
            assert 0.05 < mask.mean() < np.pi * LARGEST_RADIUS**2

    def test_a_cell_is_purple(self, crowd: Phantoms) -> None:
        red, green, blue = (crowd.images[..., c][masks(crowd)].mean() for c in range(3))
        assert green < 0.6 * red
        assert green < 0.6 * blue
        assert 0.7 < red / blue < 1.1

    @pytest.mark.parametrize("size", [96, 256])
    def test_the_same_cell_is_seen_at_any_size(self, size: int) -> None:
        """Area and colour in proportion: traits are fractions of the frame, not pixels."""
        small, large = generate(20, patients=20, size=128), generate(20, patients=20, size=size)
        area = [masks(cells).mean(axis=(1, 2)) for cells in (small, large)]
        np.testing.assert_allclose(area[0], area[1], rtol=0.05)
        colour = [
            c.images.mean(axis=(1, 2)) / a[:, None]
            for c, a in zip((small, large), area, strict=True)
        ]
        np.testing.assert_allclose(colour[0], colour[1], rtol=0.05)

    def test_sizes_of_the_classes_overlap_and_blasts_are_larger(self, crowd: Phantoms) -> None:
        diameter = np.sqrt(masks(crowd).mean(axis=(1, 2)))
        blasts, healthy = diameter[is_all(crowd)], diameter[~is_all(crowd)]
        assert blasts.mean() > healthy.mean()
        best = max(
            0.5 * ((blasts > cut).mean() + (healthy <= cut).mean()) for cut in np.unique(diameter)
        )
        assert 0.55 < best < 0.75

    def test_brightness_of_the_classes_overlaps(self, crowd: Phantoms) -> None:
        mask = masks(crowd)
        grey = (crowd.images.mean(axis=3) * mask).sum(axis=(1, 2)) / mask.sum(axis=(1, 2))
        blasts, healthy = grey[is_all(crowd)], grey[~is_all(crowd)]
        spread = np.sqrt((blasts.var() + healthy.var()) / 2)
        assert abs(blasts.mean() - healthy.mean()) < 0.6 * spread

    def test_stain_differs_more_between_patients_than_within_one(self) -> None:
        cells = generate(160, patients=8, seed=2, size=64)
        red, _, blue = (cells.images[..., c].sum(axis=(1, 2)).astype(float) for c in range(3))
        hue = (red / blue).reshape(20, 8)
        assert hue.mean(axis=0).std() > hue.std(axis=0).mean()

    def test_brightness_follows_the_lamp(self) -> None:
        """Beer-Lambert: half the light gives half the grey values, whatever the stain."""
        patient, rng = draw_patient(0, 0), stream(0, 0, 0)
        traits, optics = draw_cell(patient, rng)
        settings = {name: getattr(optics, name) for name in optics.__slots__} | {"noise": 0.0}
        dim = {**settings, "lamp": tuple(v / 2 for v in optics.lamp)}
        canvas = Canvas.of(96)
        full, half = (
            render(traits, type(optics)(**s), canvas, stream(7)).astype(float)
            for s in (settings, dim)
        )
        assert full[full > 0].mean() / half[half > 0].mean() == pytest.approx(2, rel=0.03)


class TestDataset:
    def test_layout_and_names_are_those_of_cnmc(self, tmp_path: Path) -> None:
        out = tmp_path / "deep" / "phantoms"
        write_dataset(out, 40, 10, seed=1, size=64)
        seen = defaultdict(set)
        paths = sorted(out.rglob("*.png"))
        assert len(paths) == 40
        for path in paths:
            fold, label, name = path.relative_to(out).parts
            match = NAME.fullmatch(name)
            assert match is not None
            assert fold in {"fold_0", "fold_1", "fold_2"}
            assert match[4] == label
            assert match[1].startswith("H") == (label == "hem")
            seen[label, match[1]].add(fold)
        assert all(len(folds) == 1 for folds in seen.values())
        assert len(seen) == 10
        assert [p.name for p in tmp_path.iterdir()] == ["deep"]
        assert [p.name for p in out.parent.iterdir()] == ["phantoms"]

    def test_files_hold_what_generate_makes(self, tmp_path: Path) -> None:
        write_dataset(tmp_path / "out", 14, 7, seed=1, size=64)
        cells = generate(14, patients=7, seed=1, size=64)
        on_disk = {np.asarray(Image.open(p)).tobytes() for p in tmp_path.rglob("*.png")}
        assert on_disk == {image.tobytes() for image in cells.images}

    def test_one_seed_one_set_of_bytes(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write_dataset(tmp_path / name, 12, 6, seed=1, size=64)
        assert hash_tree(tmp_path / "a") == hash_tree(tmp_path / "b")

    def test_the_marker_says_what_the_cells_are(self, tmp_path: Path) -> None:
        write_dataset(tmp_path / "out", 12, 6, seed=8, size=64)
        marker = json.loads((tmp_path / "out" / "phantom.json").read_text(encoding="utf-8"))
        expected = {"images": 12, "patients": 6, "seed": 8, "size": 64, "version": 1}
        assert expected.items() <= marker.items()
        assert "phantom" in marker["statement"]
        assert "no patient" in marker["statement"]

    def test_progress_counts_every_cell(self, tmp_path: Path) -> None:
        heard: list[tuple[str, int, int]] = []
        listen = lambda what, done, total: heard.append((what, done, total))  # noqa: E731
        write_dataset(tmp_path / "out", 7, 6, seed=0, size=32, progress=listen)
        assert heard == [("phantom cells", k, 7) for k in range(1, 8)]

    def test_an_empty_folder_is_filled(self, tmp_path: Path) -> None:
        write_dataset(tmp_path, 6, 6, seed=0, size=32)
        assert (tmp_path / "phantom.json").is_file()

    def test_an_occupied_folder_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
        with pytest.raises(OutputDirError, match="not empty"):
            write_dataset(tmp_path, 6, 6, seed=0, size=32)
        assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]

    def test_a_file_in_the_way_is_left_alone(self, tmp_path: Path) -> None:
        target = tmp_path / "out"
        target.write_text("mine", encoding="utf-8")
        with pytest.raises(OutputDirError, match="is a file"):
            write_dataset(target, 6, 6, seed=0, size=32)
        assert target.read_text(encoding="utf-8") == "mine"

    def test_a_folder_below_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OutputDirError, match="cannot be written"):
            write_dataset(tmp_path / "file" / "out", 6, 6, seed=0, size=32)

    def test_refused_numbers_leave_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError):
            write_dataset(tmp_path / "out", 5, 6, seed=0)
        assert not any(tmp_path.iterdir())

    def test_interrupted_work_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            write_dataset(
                tmp_path / "out", 12, 6, seed=0, size=32, progress=_raise(KeyboardInterrupt())
            )
        assert not any(tmp_path.iterdir())

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
    def test_a_full_disk_is_named(self, tmp_path: Path, number: int) -> None:
        full = OSError(number, os.strerror(number))
        with pytest.raises(StorageError, match="could not be stored") as caught:
            write_dataset(tmp_path / "out", 12, 6, seed=0, size=32, progress=_raise(full))
        assert caught.value.exit_code == 3
        assert not any(tmp_path.iterdir())

    def test_a_folder_filled_meanwhile_is_left_alone(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()

        def meanwhile(what: str, done: int, total: int) -> None:
            (out / "mine.txt").touch()

        with pytest.raises(OutputDirError):
            write_dataset(out, 6, 6, seed=0, size=32, progress=meanwhile)
        assert [p.name for p in tmp_path.rglob("*")] == ["out", "mine.txt"]


def _raise(error: BaseException) -> Callable[[str, int, int], None]:
    def progress(what: str, done: int, total: int) -> None:
        if done == 4:
            raise error

    return progress
