"""On real images, which are read in place and never copied here."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allnet_edge.device.field import find_cells


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def some(folder: Path, pattern: str, n: int) -> list[Path]:
    files = sorted(folder.rglob(pattern))
    if not files:
        pytest.skip(f"no images in {folder.name}")
    return files[:: max(1, len(files) // n)][:n]


def test_a_cell_on_black_is_found_once_and_whole(shared_data: Path) -> None:
    for path in some(shared_data / "cnmc", "*.bmp", 30):
        rgb = picture(path)
        found = find_cells(rgb)
        assert len(found) == 1, path.name
        lit = np.count_nonzero(rgb.max(axis=2) > 8)
        assert np.count_nonzero(found[0].mask) == pytest.approx(lit, rel=0.03), path.name


def test_a_single_cell_in_its_smear_is_found(shared_data: Path) -> None:
    kinds = [kind for kind in sorted((shared_data / "pbc").iterdir()) if kind.name != "platelet"]
    once, middle, n = 0, 0, 0
    for kind in kinds:
        for path in some(kind, "*.jpg", 6):
            rgb = picture(path)
            found = find_cells(rgb)
            y, x = (side / 2 for side in rgb.shape[:2])
            hit = [c for c in found if c.box[0] < x < c.box[2] and c.box[1] < y < c.box[3]]
            once += len(hit) == 1
            middle += bool(hit)
            n += 1
    assert middle >= 0.95 * n
    assert once >= 0.95 * n


def test_fields_of_blasts_show_several_cells_and_no_scale_bar(shared_data: Path) -> None:
    found = [find_cells(picture(path)) for path in some(shared_data / "aria2021", "*.jpg", 24)]
    assert np.mean([len(cells) for cells in found]) > 4
    # The bar lies in the lower right corner, 40 px wide at most and 20 px high.
    inside = [c for cells in found for c in cells if c.box[0] > 184 and c.box[1] > 206]
    assert len(inside) <= 2
