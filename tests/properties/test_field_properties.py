import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from phantom_fields import phantom_field

from allnet_edge.device.field import find_cells
from allnet_edge.segmentation.cell import Box, Cell
from allnet_edge.segmentation.cutting import cut_out
from allnet_edge.segmentation.outline import MAX_POINTS, outline

seeds = st.integers(0, 10_000)
CLOSE = 5  # pixels of the field: two of the small copy and rounding


def boxes(cells: list[Cell]) -> np.ndarray:
    return np.array(sorted(cell.box for cell in cells)).reshape(-1, 4)


def turned(box: Box, height: int) -> Box:
    """A box after the field was turned by 90 degrees clockwise."""
    x0, y0, x1, y1 = box
    return height - y1, x0, height - y0, x1


@settings(max_examples=15, deadline=None)
@given(seed=seeds, nucleus=st.integers(40, 80), touching=st.booleans())
def test_a_turned_field_has_its_cells_turned(seed: int, nucleus: int, touching: bool) -> None:
    # Without platelets: two of them, grown together at the border, lie on the limit of what may be
    # a cut cell (seed 313, nucleus 71); the small copy of a turned field falls on its other side.
    rgb, _ = phantom_field(
        seed, 4, size=(480, 480), nucleus=nucleus, touching=touching, platelets=0
    )
    there = find_cells(np.ascontiguousarray(np.rot90(rgb, -1)))
    expected = np.array(sorted(turned(cell.box, 480) for cell in find_cells(rgb))).reshape(-1, 4)
    found = boxes(there)
    assert found.shape == expected.shape
    far = np.abs(found[:, np.newaxis] - expected).max(axis=2).min(axis=1, initial=99)
    assert (far <= CLOSE).all()


@settings(max_examples=15, deadline=None)
@given(seed=seeds, right=st.integers(0, 60), down=st.integers(0, 60))
def test_a_shifted_field_has_its_cells_shifted(seed: int, right: int, down: int) -> None:
    rgb, _ = phantom_field(seed, 3, size=(400, 560), nucleus=50, platelets=0)
    ground = np.rint(np.median(rgb.reshape(-1, 3), axis=0)).astype(np.uint8)

    def framed(x: int, y: int) -> np.ndarray:
        field = np.tile(ground, (480, 640, 1))
        field[y : y + 400, x : x + 560] = rgb
        return field

    before, after = boxes(find_cells(framed(0, 0))), boxes(find_cells(framed(right, down)))
    assert before.shape == after.shape
    moved = before + np.array([right, down, right, down])
    far = np.abs(moved[:, np.newaxis] - after).max(axis=2).min(axis=1, initial=99)
    assert (far <= CLOSE).all()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), height=st.integers(16, 90), width=st.integers(16, 90))
def test_no_picture_breaks_it(data: st.DataObject, height: int, width: int) -> None:
    rng = np.random.default_rng(data.draw(seeds))
    tiles = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    rgb = np.kron(tiles, np.ones((8, 8, 1), np.uint8))[:height, :width]
    for cell in find_cells(rgb):
        x0, y0, x1, y1 = cell.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert 0 < len(outline(cell)) <= MAX_POINTS
        assert np.isfinite(cell.sharpness)
        assert cell.sharpness >= 0


@settings(max_examples=40, deadline=None)
@given(
    x=st.integers(0, 90),
    y=st.integers(0, 60),
    side=st.integers(1, 80),
    scale=st.floats(0.2, 4),
    black=st.booleans(),
)
def test_any_cell_can_be_cut_out(x: int, y: int, side: int, scale: float, black: bool) -> None:
    rgb = np.random.default_rng(0).integers(1, 256, (70, 100, 3), dtype=np.uint8)
    mask = np.ones((70 - y, 100 - x), np.bool_)
    cell = Cell((x, y, 100, 70), mask, mask, cut=True, sharpness=0.0)
    made = cut_out(rgb, cell, side=side, scale=scale, background="black" if black else "smear")
    assert made.shape == (side, side, 3)
    assert made.dtype == np.uint8
    assert black or (made > 0).all()
