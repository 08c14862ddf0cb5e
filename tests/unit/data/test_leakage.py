import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageEnhance

from allnet_edge.data import images, leakage
from allnet_edge.data.scan import scan

MakeImage = Callable[..., Image.Image]
Thumbnails = npt.NDArray[np.uint8]


def stack(pictures: list[Image.Image]) -> Thumbnails:
    pixels = b"".join(leakage.thumbnail(picture) for picture in pictures)
    return np.frombuffer(pixels, np.uint8).reshape(-1, leakage.SIDE, leakage.SIDE)


def recompressed(picture: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return Image.open(stream)


def brute_force(thumbnails: Thumbnails) -> set[tuple[int, int]]:
    """Every pair by the definition, without buckets."""
    bits = np.unpackbits(
        leakage.perceptual_hashes(thumbnails).view(np.uint8).reshape(-1, 8), axis=1
    )
    pixels = thumbnails.reshape(len(thumbnails), -1).astype(float)
    contrast = np.abs(pixels - pixels.mean(axis=1, keepdims=True)).mean(axis=1)
    return {
        (a, b)
        for a in range(len(pixels))
        for b in range(a + 1, len(pixels))
        if (bits[a] != bits[b]).sum() <= leakage.MAX_BITS
        and np.abs(pixels[a] - pixels[b]).mean()
        <= leakage.MAX_DIFFERENCE * min(contrast[a], contrast[b])
    }


def test_buckets_find_what_brute_force_finds(texture: MakeImage) -> None:
    rng = np.random.default_rng(0)
    base = stack([texture(seed) for seed in range(40)]).astype(int)
    noisy = [base + rng.normal(0, sigma, base.shape) for sigma in (0, 2, 4, 12)]
    thumbnails = np.clip(np.concatenate(noisy), 0, 255).astype(np.uint8)
    pairs = brute_force(thumbnails)
    assert 40 < len(pairs) < 300  # both kinds of pairs are there
    groups = leakage.near_identical(thumbnails)
    member = {row: number for number, group in enumerate(groups) for row in group}
    assert all(member.get(a, -1) == member.get(b, -2) for a, b in pairs)
    linked = {row for pair in pairs for row in pair}
    assert set(member) == linked


@pytest.mark.parametrize("kind", ["recompressed", "brighter", "rescaled"])
def test_altered_copies_are_found_in_real_cells(shared_data: Path, kind: str) -> None:
    paths = sorted((shared_data / "cnmc" / "C-NMC_training_data" / "fold_0").rglob("*.bmp"))
    cells = [images.decode(path) for path in paths]
    alter: dict[str, Callable[[Image.Image], Image.Image]] = {
        "recompressed": recompressed,
        "brighter": lambda cell: ImageEnhance.Brightness(cell).enhance(1.06),
        "rescaled": lambda cell: cell.resize((300, 300)),
    }
    thumbnails = stack([*cells, *(alter[kind](cell) for cell in cells)])
    found = leakage.near_identical(thumbnails)
    assert found == [[row, row + len(cells)] for row in range(len(cells))]


def test_different_dark_cells_are_not_confused(shared_data: Path) -> None:
    """Turned and mirrored cells are other images: 546 of them, all small and dark on black."""
    found = scan(shared_data / "cnmc")
    cells = [images.decode(found.root / sample.id) for sample in found.samples]
    turns = list(Image.Transpose)
    thumbnails = stack([cell.transpose(turn) for turn in turns for cell in cells])
    groups = leakage.near_identical(thumbnails)
    names = [Path(sample.id).stem for sample in found.samples]
    pairs = {tuple(sorted(names[row % len(cells)] for row in group)) for group in groups}
    assert pairs == {
        ("UID_H2_1_1_hem", "UID_H6_1_1_hem"),
        ("UID_H2_1_2_hem", "UID_H6_1_2_hem"),
        ("UID_H10_1_1_hem", "UID_h3_1_1_hem"),
    }
    # The copies themselves differ in a few pixels of 202,500 only; each turn finds each of them.
    assert len(groups) == 3 * len(turns)


def test_near_identical_fields_of_aria_lie_beside_each_other(shared_data: Path) -> None:
    found = scan(shared_data / "aria2021")
    order = [sample.order or 0 for sample in found.samples]
    label = [sample.label for sample in found.samples]
    groups = leakage.near_identical(found.thumbnails)
    assert 50 < len(groups) < 80
    for group in groups:
        assert len({label[row] for row in group}) == 1
        assert max(order[row] for row in group) - min(order[row] for row in group) <= 12


def test_blank_and_equal_images_are_grouped_at_once() -> None:
    blank = np.zeros((2000, leakage.SIDE, leakage.SIDE), np.uint8)
    assert leakage.near_identical(blank) == [list(range(2000))]
    blank[1] = 255
    assert leakage.near_identical(blank[:2]) == []
    assert leakage.near_identical(blank[:1]) == []
    assert leakage.near_identical(blank[:0]) == []


def test_thumbnail_shows_the_foreground(texture: MakeImage) -> None:
    lone = Image.new("RGB", (200, 200))
    lone.paste(texture(1), (20, 90))
    assert leakage.thumbnail(lone) == leakage.thumbnail(texture(1))
