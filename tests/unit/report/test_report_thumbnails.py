import base64
import io

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter

from allnet_edge.errors import ImageError
from allnet_edge.report.document import Thumbnail
from allnet_edge.report.thumbnails import SIDE, thumbnail


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_thumbnail_is_small_inline_and_keeps_the_aspect(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 450, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "cell.bmp")
    uri = thumbnail(tmp_path / "cell.bmp")
    TypeAdapter(Thumbnail).validate_python(uri)
    assert opened(uri).size == (SIDE, 64)
    assert len(uri) < 20_000


def test_colours_survive(tmp_path):
    Image.new("RGB", (450, 450), (150, 40, 170)).save(tmp_path / "cell.png")
    middle = np.asarray(opened(thumbnail(tmp_path / "cell.png")))[48, 48].astype(int)
    assert np.abs(middle - (150, 40, 170)).max() <= 4


def test_the_black_surround_of_a_cell_is_cut_off(tmp_path):
    picture = Image.new("RGB", (450, 450))
    picture.paste((150, 40, 170), (150, 200, 350, 300))
    picture.save(tmp_path / "cell.bmp")
    assert opened(thumbnail(tmp_path / "cell.bmp")).size == (SIDE, SIDE // 2)


def test_a_black_image_is_no_problem(tmp_path):
    Image.new("RGB", (60, 60)).save(tmp_path / "cell.bmp")
    assert opened(thumbnail(tmp_path / "cell.bmp")).size == (60, 60)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "cell.bmp").write_bytes(b"BM broken")
    with pytest.raises(ImageError):
        thumbnail(tmp_path / "cell.bmp")


def test_a_real_cell(shared_data):
    path = next((shared_data / "cnmc").rglob("*.bmp"))
    assert max(opened(thumbnail(path)).size) == SIDE
