"""Small made images and data sets; no two textures are near-identical."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeImage = Callable[..., Image.Image]
MakeCnmc = Callable[..., Path]


@pytest.fixture
def texture() -> MakeImage:
    """``texture(seed, size=64)``: a blotchy RGB image of its own."""

    def make(seed: int, size: int = 64) -> Image.Image:
        blotches = np.random.default_rng(seed).integers(40, 256, (8, 8, 3), dtype=np.uint8)
        return Image.fromarray(blotches).resize((size, size), Image.Resampling.BICUBIC)

    return make


@pytest.fixture
def make_cnmc(tmp_path: Path, texture: MakeImage) -> MakeCnmc:
    """Write cells in the layout of C-NMC: ``{"fold_0/all/UID_1_1_1_all": 7}``, name to seed."""

    def make(cells: dict[str, int], root: str = "set", suffix: str = ".bmp") -> Path:
        for name, seed in cells.items():
            path = tmp_path / root / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            texture(seed).save(path)
        return tmp_path / root

    return make
