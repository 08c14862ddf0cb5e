import cv2
import numpy as np
import pytest

from allnet_edge.segmentation.focus import SMOOTHING, sharpness


def nucleus(diameter: float, dark: int, light: int, blur: float) -> tuple[np.ndarray, np.ndarray]:
    side = int(2 * diameter)
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    mask = np.hypot(rows, columns) <= diameter / 2
    grey = np.where(mask, float(dark), float(light))
    grey = cv2.GaussianBlur(grey, (0, 0), blur) if blur else grey
    return np.repeat(np.rint(grey)[..., np.newaxis], 3, axis=2).astype(np.uint8), mask


def measured(diameter: float = 60, dark: int = 60, light: int = 220, blur: float = 0) -> float:
    rgb, mask = nucleus(diameter, dark, light, blur)
    return sharpness(rgb, mask, 0, 0)


def test_a_step_is_sharp() -> None:
    assert measured() == pytest.approx(1, abs=0.12)


def test_falls_with_every_blur() -> None:
    values = [measured(blur=blur) for blur in (0, 0.7, 1, 1.5, 2, 3, 4, 6)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.4 * values[0]


@pytest.mark.parametrize("blur", [1.5, 3.0])
def test_is_what_the_model_of_an_edge_says(blur: float) -> None:
    s = SMOOTHING * 60
    assert measured(blur=blur) == pytest.approx(s / np.hypot(s, blur), rel=0.12)


def test_a_pale_stain_is_as_sharp_as_a_deep_one() -> None:
    assert measured(dark=150, light=220, blur=2) == pytest.approx(
        measured(dark=20, light=240, blur=2), rel=0.05
    )


def test_the_same_picture_enlarged_is_as_sharp() -> None:
    assert measured(120, blur=4) == pytest.approx(measured(60, blur=2), rel=0.06)


def test_a_nucleus_brighter_than_the_black_around_it_is_measured_too() -> None:
    assert measured(dark=120, light=0, blur=2) == pytest.approx(measured(blur=2), rel=0.06)


def test_nothing_to_see_is_not_sharp() -> None:
    rgb, mask = nucleus(60, 128, 128, 0)
    assert sharpness(rgb, mask, 0, 0) == 0
    assert sharpness(rgb, np.zeros_like(mask), 0, 0) == 0
    assert sharpness(rgb, np.ones((1, 1), np.bool_), 0, 0) == 0


def test_the_place_of_the_nucleus_in_the_field_does_not_matter() -> None:
    rgb, mask = nucleus(60, 60, 220, 2)
    field = np.full((300, 400, 3), 220, np.uint8)
    field[100:220, 30:150] = rgb
    moved = sharpness(field, mask[20:100, 20:100], 50, 120)
    assert moved == pytest.approx(sharpness(rgb, mask, 0, 0), abs=0.02)
