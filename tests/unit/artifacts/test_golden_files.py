import numpy as np
import pytest

from allnet_edge.artifacts.golden import INPUTS, OUTPUTS, TOLERANCE, Golden
from allnet_edge.errors import IntegrityError


def write(golden: Golden, folder):
    for name, data in golden.to_files().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture
def golden() -> Golden:
    rng = np.random.default_rng(0)
    outputs = {name: rng.random(3, np.float32) for name in ("b", "a.int8")}
    return Golden(rng.integers(0, 256, (3, 8, 8, 3), np.uint8), outputs, {"b": 0.0, "a.int8": 0.1})


def test_it_comes_back_exactly(golden, tmp_path):
    write(golden, tmp_path)
    back = Golden.read(tmp_path)
    np.testing.assert_array_equal(back.images, golden.images)
    assert back.tolerance == golden.tolerance
    for name, values in golden.outputs.items():
        np.testing.assert_array_equal(back.outputs[name], values)


def test_the_bytes_do_not_depend_on_the_order_of_candidates(golden):
    turned = Golden(golden.images, dict(reversed(golden.outputs.items())), golden.tolerance)
    assert turned.to_files() == golden.to_files()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (INPUTS, b"no archive"),
        (INPUTS, b""),
        (OUTPUTS, b"PK\x03\x04 cut"),
        (TOLERANCE, b"[]"),
        (TOLERANCE, b'{"b": 0.1}'),
    ],
)
def test_damaged_files_are_named(file, content, golden, tmp_path):
    write(golden, tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        Golden.read(tmp_path)
    assert caught.value.where == str(tmp_path / file)


def test_float_images_and_missing_rows_are_refused(golden, tmp_path):
    write(Golden(golden.images.astype(np.float32), golden.outputs, golden.tolerance), tmp_path)
    with pytest.raises(IntegrityError, match="uint8"):
        Golden.read(tmp_path)
    write(Golden(golden.images[:2], golden.outputs, golden.tolerance), tmp_path)
    with pytest.raises(IntegrityError, match="2 rows"):
        Golden.read(tmp_path)


def test_pickled_objects_are_never_loaded(golden, tmp_path):
    write(golden, tmp_path)
    np.savez(tmp_path / INPUTS, images=np.array([{"evil": 1}], dtype=object))
    with pytest.raises(IntegrityError):
        Golden.read(tmp_path)
