"""The checks of a cell before the network: each bites, and none on a cell like the training's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from allnet_edge.artifacts.appearance import Appearance
from allnet_edge.data.phantom import generate
from allnet_edge.device.fields.abstention import LEAST_SHARPNESS, Quality
from allnet_edge.device.fields.results import Reason
from allnet_edge.measure.appearance import (
    colour_statistic,
    distance,
    exposure,
    sharpness,
    shrunk_covariance,
    upper_limit,
)
from allnet_edge.segmentation.cell import Cell

IMAGES = generate(120, patients=12, seed=8, size=96).images
TRAINING, FRESH = IMAGES[:90], IMAGES[90:]


def cell(diameter: float = 60, *, cut: bool = False, sharp: float = 0.9) -> Cell:
    side = math.ceil(diameter) + 2
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.hypot(x, y) <= diameter / 2
    nucleus = np.hypot(x, y) <= diameter / 4
    return Cell((10, 20, 10 + side, 20 + side), inside, nucleus, cut, sharp)


def appearance(**changes: object) -> Appearance:
    colours = np.array([colour_statistic(one, "black") for one in TRAINING])
    covariance = shrunk_covariance(colours)
    mean = colours.mean(axis=0)
    far = np.array([distance(row, mean, covariance) for row in colours])
    light = [exposure(one, "black") for one in TRAINING]
    values = {
        "background": "black",
        "side": 96,
        "diameter_of": "cell",
        "diameter": (40.0, 60.0, 80.0),
        "n": len(TRAINING),
        "fitted_on": len(TRAINING),
        "colour_mean": mean.tolist(),
        "colour_covariance": covariance.tolist(),
        "stain_limit": 1.2 * upper_limit(far),
        "sharpness_limit": 0.9 * min(sharpness(one, "black") for one in TRAINING),
        "dark_limit": 0.05,
        "bright_limit": 0.05,
        "level_limit": 0.9 * min(one.level for one in light),
    }
    return Appearance.model_validate(values | changes)


KNOWN = appearance()
QUALITY = Quality(KNOWN)


def reason(image: np.ndarray, of: Cell | None = None, quality: Quality = QUALITY) -> Reason | None:
    found = quality.check(of or cell(), image, 1.0)
    assert found is None or found[1]
    return found[0] if found else None


def recoloured(image: np.ndarray, shift: int) -> np.ndarray:
    hsv = np.array(Image.fromarray(image).convert("HSV"))
    hsv[..., 0] = (hsv[..., 0].astype(int) + shift) % 256
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))


def test_fresh_cells_of_the_same_kind_pass() -> None:
    assert sum(reason(one) is not None for one in FRESH) <= 2


def test_a_cut_cell_is_refused_before_anything_else() -> None:
    assert reason(np.zeros_like(FRESH[0]), cell(cut=True)) is Reason.cut
    assert reason(FRESH[0], cell(cut=True), Quality(None)) is Reason.cut


def test_darkness_light_and_another_stain_are_named() -> None:
    for image in FRESH:
        assert reason((image * 0.1).astype(np.uint8)) is Reason.dark
        assert reason((image * 0.4).astype(np.uint8)) is Reason.dark
        bright = np.where(image > 0, np.clip(image * 4.0, 0, 255), 0).astype(np.uint8)
        assert reason(bright) is Reason.bright
        assert reason(recoloured(image, 128)) is Reason.stain


def test_nothing_to_be_seen_is_darkness() -> None:
    found = QUALITY.check(cell(), np.zeros((96, 96, 3), np.uint8), 1.0)
    assert found == (Reason.dark, "next to nothing of the cell is to be seen")
    assert QUALITY.stain_distance(np.zeros((96, 96, 3), np.uint8)) is None


def test_a_blurred_tensor_is_refused() -> None:
    # The colour of a strongly blurred phantom may leave the stain's range; here only focus counts.
    focus = Quality(appearance(level_limit=None, dark_limit=None, bright_limit=None))
    for image in FRESH:
        mask = image.max(axis=2) > 0
        uncut = np.where(mask[..., None], image, np.median(image[mask], axis=0)).astype(np.uint8)
        soft = np.asarray(Image.fromarray(uncut).filter(ImageFilter.GaussianBlur(4)))
        assert reason(soft * mask[..., None], quality=focus) is Reason.blurred


@pytest.mark.parametrize("quality", [QUALITY, Quality(None)])
def test_a_nucleus_without_an_edge_is_refused_even_without_an_appearance(quality: Quality) -> None:
    assert reason(FRESH[0], cell(sharp=LEAST_SHARPNESS - 0.01), quality) is Reason.blurred
    assert reason(FRESH[0], cell(sharp=LEAST_SHARPNESS), quality) is None


@pytest.mark.parametrize(("diameter", "refused"), [(30, True), (60, False), (95, True)])
def test_size_is_judged_in_pixels_of_a_training_image(diameter: float, refused: bool) -> None:
    for scale in (0.5, 1, 3):
        found = QUALITY.check(cell(diameter / scale), FRESH[0], scale)
        assert (found is not None) == refused
        assert found is None or found[0] is Reason.size


def test_in_a_smear_it_is_the_nucleus_that_is_measured() -> None:
    smear = Quality(appearance(diameter_of="nucleus", diameter=(20.0, 30.0, 40.0)))
    assert reason(FRESH[0], cell(60), smear) is None  # its nucleus is half as wide
    found = smear.check(cell(100), FRESH[0], 1.0)
    assert found is not None
    assert found[1].startswith("nucleus of 50")


def test_micrometres_are_told_where_they_are_known() -> None:
    known = Quality(appearance(um_per_px=0.2))
    assert known.check(cell(100), FRESH[0], 1.0) == (
        Reason.size, "cell of 20.0, from 8.0 to 16.0 micrometres",
    )  # fmt: skip


def test_a_limit_that_could_not_be_fitted_is_not_judged() -> None:
    names = ("stain_limit", "sharpness_limit", "dark_limit", "bright_limit", "level_limit")
    open_minded = Quality(appearance(diameter=None, **dict.fromkeys(names)))
    assert reason(recoloured(FRESH[0], 128), cell(5), open_minded) is None
    assert open_minded.stain_distance(recoloured(FRESH[0], 128)) > KNOWN.stain_limit


def test_without_an_appearance_there_is_no_distance() -> None:
    assert Quality(None).stain_distance(FRESH[0]) is None


@given(st.integers(0, len(FRESH) - 1), st.integers(0, 3), st.booleans())
@settings(max_examples=30, deadline=None)
def test_turning_a_cell_changes_nothing(which: int, turns: int, flip: bool) -> None:
    turned = np.rot90(FRESH[which], turns)
    turned = np.ascontiguousarray(turned[:, ::-1] if flip else turned)
    assert QUALITY.stain_distance(turned) == pytest.approx(QUALITY.stain_distance(FRESH[which]))
    assert sharpness(turned, "black") == pytest.approx(sharpness(FRESH[which], "black"))


def test_the_tensor_is_not_written_to() -> None:
    frozen = FRESH[0].copy()
    frozen.setflags(write=False)
    assert QUALITY.check(cell(), frozen, 1.0) is None
