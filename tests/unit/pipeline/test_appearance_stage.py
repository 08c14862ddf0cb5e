"""How the training cells look, as a build measures it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allnet_edge.artifacts.appearance import Appearance
from allnet_edge.data.calibration import select, selection_cells
from allnet_edge.data.phantom import write_dataset
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import make_split
from allnet_edge.device.field import find_cells
from allnet_edge.errors import DataError
from allnet_edge.measure.appearance import colour_statistic, distance, exposure, sharpness
from allnet_edge.pipeline.stages.appearance import describe
from allnet_edge.spec.network import Preprocess
from allnet_edge.spec.recipe import AppearanceSpec

LABELS = {"hem": 0, "all": 1}
PREPROCESS = Preprocess(size=64)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("appearance") / "cells"
    write_dataset(root, 400, 40, seed=2, size=96)
    return root


def parts(index: SampleIndex, cells: int = 300) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    split = make_split(index, "patient", seed=0)
    return (
        select(split, index, cells, 0, LABELS),
        selection_cells(split, index, cells, 0, LABELS),
    )


def described(root: Path, **settings: object) -> Appearance:
    index = load_index(root)
    return describe(
        index, *parts(index), preprocess=PREPROCESS, settings=AppearanceSpec(**settings)
    )


def test_cells_on_black(phantoms: Path) -> None:
    index = load_index(phantoms)
    training, validation = parts(index)
    found = described(phantoms, um_per_px=0.3)
    assert (found.background, found.side, found.diameter_of) == ("black", 96, "cell")
    assert (found.n, found.fitted_on, found.um_per_px) == (len(training), len(validation), 0.3)
    areas = [(np.asarray(Image.open(index.path(one))).max(axis=2) > 8).sum() for one in training]
    assert found.diameter[1] == pytest.approx(np.median(2 * np.sqrt(np.array(areas) / np.pi)))
    assert found.diameter[0] < 0.8 * found.diameter[1] < found.diameter[1] < found.diameter[2]


def test_its_own_cells_keep_to_every_limit_but_one_in_a_hundred(phantoms: Path) -> None:
    index = load_index(phantoms)
    training, validation = parts(index)
    found = described(phantoms)
    mean, covariance = np.array(found.colour_mean), np.array(found.colour_covariance)
    for part in (training, validation):
        broken = np.zeros(4)
        for one in part:
            image = Image.open(index.path(one)).convert("RGB").resize((64, 64), 2)
            tensor = np.asarray(image)
            light = exposure(tensor, "black")
            broken += [
                distance(colour_statistic(tensor, "black"), mean, covariance) > found.stain_limit,
                sharpness(tensor, "black") < found.sharpness_limit,
                light.dark > found.dark_limit or light.level < found.level_limit,
                light.bright > found.bright_limit,
            ]
        assert (broken <= max(1, 0.015 * len(part))).all()


def test_the_same_cells_give_the_same_bytes(phantoms: Path) -> None:
    assert described(phantoms).model_dump_json() == described(phantoms).model_dump_json()


def test_the_gates_cells_are_not_opened(phantoms: Path, tmp_path: Path) -> None:
    index = load_index(phantoms)
    training, validation = parts(index)
    copied = SampleIndex(tmp_path, index.layout, index.samples)
    for one in (*training, *validation):
        target = copied.path(one)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(index.path(one).read_bytes())
    found = describe(copied, training, validation, preprocess=PREPROCESS, settings=AppearanceSpec())
    assert found == described(phantoms)


def test_few_validation_cells_fit_no_limit(phantoms: Path) -> None:
    index = load_index(phantoms)
    training, validation = parts(index)
    found = describe(
        index, training, validation[:19], preprocess=PREPROCESS, settings=AppearanceSpec()
    )
    limits = (found.stain_limit, found.sharpness_limit, found.dark_limit, found.bright_limit)
    assert limits == (None,) * 4
    assert (found.level_limit, found.diameter, found.fitted_on) == (None, None, 19)


def test_black_images_are_refused(tmp_path: Path) -> None:
    samples = _save(tmp_path, [np.zeros((64, 64, 3), np.uint8)] * 25)
    index = SampleIndex(tmp_path, "folders", samples)
    with pytest.raises(DataError, match="all are black"):
        describe(index, samples, samples, preprocess=PREPROCESS, settings=AppearanceSpec())


def test_in_a_smear_the_nuclei_are_measured(tmp_path: Path) -> None:
    samples = _save(tmp_path, [_smear(seed) for seed in range(40)])
    index = SampleIndex(tmp_path, "folders", samples)
    found = describe(
        index, samples[:20], samples[20:], preprocess=PREPROCESS, settings=AppearanceSpec()
    )
    assert (found.background, found.side, found.diameter_of) == ("smear", 200, "nucleus")
    assert 29 < found.diameter[1] < 40  # 32, and what the map takes of the cytoplasm
    assert found.diameter[0] < found.diameter[1] < found.diameter[2]
    device = [
        cell.nucleus_diameter
        for one in samples
        for cell in find_cells(np.asarray(Image.open(index.path(one))))
        if not cell.cut
    ]
    assert found.diameter[1] == pytest.approx(np.median(device), rel=0.06)


def test_smears_without_a_nucleus_have_no_diameter(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    plain = [np.clip(rng.normal(215, 6, (40, 48, 3)), 0, 255).astype(np.uint8) for _ in range(25)]
    samples = _save(tmp_path, [*plain, np.full((17, 16, 3), 240, np.uint8)])
    index = SampleIndex(tmp_path, "folders", samples)
    found = describe(index, samples, samples, preprocess=PREPROCESS, settings=AppearanceSpec())
    assert (found.background, found.side, found.diameter) == ("smear", 40, None)
    assert found.stain_limit is not None


def _smear(seed: int) -> np.ndarray:
    """Red cells, and three nuclei of 32 px with a little cytoplasm, on a light ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:200, :200]
    image = np.full((200, 200, 3), (236.0, 232, 228))
    for _ in range(14):
        column, row = rng.uniform(0, 200, 2)
        image[np.hypot(x - column, y - row) < 13] = (205, 165, 160)
    for column, row in ((50, 50), (150, 60), (90, 150)):
        at = np.hypot(x - column - rng.uniform(-8, 8), y - row - rng.uniform(-8, 8))
        image[at < 20] = (170, 160, 205)
        image[at < 16] = (95, 55, 140)
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def _save(root: Path, images: list[np.ndarray]) -> tuple[Sample, ...]:
    found = []
    for n, image in enumerate(images):
        Image.fromarray(image).save(root / f"{n}.png")
        height, width = image.shape[:2]
        found.append(Sample(f"{n}.png", "ab" * 32, "hem", None, "all", None, width, height))
    return tuple(found)
