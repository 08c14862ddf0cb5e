"""White cells in a field of view: found, outlined, measured for focus."""

import math
from typing import NamedTuple

import cv2
import numpy as np

from allnet_edge.segmentation.cell import Box, Cell, Field, Mask
from allnet_edge.segmentation.checks import check_field
from allnet_edge.segmentation.focus import sharpness
from allnet_edge.segmentation.joining import joined
from allnet_edge.segmentation.nuclei import Nuclei, find_nuclei
from allnet_edge.segmentation.on_black import cells_on_black
from allnet_edge.segmentation.regions import Labels, Region, regions
from allnet_edge.segmentation.splitting import components
from allnet_edge.segmentation.whole_cell import whole_cells

WORK_SIDE = 320
"""The longer side, in pixels, of the small copy in which cells are looked for."""
LEAST_NUCLEUS = 16.0
"""Pixels of a nucleus' diameter in the small copy, where the field has them."""
MOST_WORK_PIXELS = 2_000_000


def find_cells(rgb: Field, *, diameter: float | None = None) -> list[Cell]:
    """Find the white cells of a field.

    Args:
        rgb: uint8 ``[height, width, 3]``, RGB, 0..255: a stained smear; or cells on black.
        diameter: Expected of a nucleus, in pixels of the field; None to take it from the field.

    Returns:
        In reading order; empty where there is none. Cells that the border cuts are among them,
        marked.

    Raises:
        ValueError: ``rgb`` is no field (see `segmentation.checks`), or ``diameter`` is no positive
            number.
    """
    check_field(rgb)
    if diameter is not None and not 0 < diameter < math.inf:
        raise ValueError(f"the diameter of a nucleus must be a positive number of px: {diameter}")
    alone = cells_on_black(rgb)
    if alone is not None:
        cells, nuclei = alone
    else:
        found = _in_small_copy(rgb, diameter)
        cells, nuclei = _lobes_joined(whole_cells(found), found)
    return _in_reading_order([_measured(rgb, region, cells, nuclei) for region in regions(cells)])


def _in_small_copy(rgb: Field, diameter: float | None) -> Nuclei:
    """The nuclei in a copy that is small enough to be quick and large enough to see them."""
    height, width = rgb.shape[:2]
    largest = min(1.0, math.sqrt(MOST_WORK_PIXELS / (height * width)))
    scale = min(1.0, WORK_SIDE / max(height, width))
    if diameter is not None:
        scale = min(largest, max(scale, LEAST_NUCLEUS / diameter))
    nuclei = _nuclei(rgb, scale, diameter)
    if diameter is None and 0 < nuclei.diameter < LEAST_NUCLEUS and scale < largest:
        scale = min(largest, scale * 1.25 * LEAST_NUCLEUS / nuclei.diameter)
        nuclei = _nuclei(rgb, scale, None)
    return nuclei


def _nuclei(rgb: Field, scale: float, diameter: float | None) -> Nuclei:
    height, width = rgb.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = rgb if scale == 1 else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    expected = None if diameter is None else diameter * scale
    return find_nuclei(np.asarray(small, dtype=np.uint8), expected)


def _lobes_joined(cells: Labels, found: Nuclei) -> tuple[Labels, Labels]:
    """Cells and nuclei with one number for all parts of one cell."""
    parts = joined(cells, found.sure)
    if not parts:
        return cells, found.labels
    number = np.arange(int(max(cells.max(), found.labels.max())) + 1, dtype=np.int32)
    for label, to in parts.items():
        number[label] = to
    return number[cells], number[found.labels]


def _measured(rgb: Field, region: Region, cells: Labels, nuclei: Labels) -> Cell:
    """A region of the small copy as a cell of the field, with its masks in the field's pixels."""
    shape = cells.shape
    rows, columns = region.around(1, *shape)
    (top, bottom), (left, right) = (
        (math.floor(cut.start * n / m), min(n, math.ceil(cut.stop * n / m)))
        for cut, n, m in zip((rows, columns), rgb.shape, shape, strict=False)
    )
    place = _Place(left, top, right - left, bottom - top, columns.start, rows.start)
    ratio = shape[1] / rgb.shape[1], shape[0] / rgb.shape[0]
    seed = nuclei[rows, columns] == region.label
    whole = _enlarged(_holding(cells[rows, columns] == region.label, seed), place, ratio)
    nucleus = _enlarged(seed, place, ratio) & whole
    x0, y0, x1, y1 = _extent(whole)
    mask, inner = whole[y0:y1, x0:x1], nucleus[y0:y1, x0:x1]
    box = left + x0, top + y0, left + x1, top + y1
    return Cell(
        box=box,
        mask=mask,
        nucleus=inner,
        cut=min(box[:2]) == 0 or box[2] == rgb.shape[1] or box[3] == rgb.shape[0],
        sharpness=sharpness(rgb, inner, *box[:2]),
    )


def _holding(mask: Mask, seed: Mask) -> Mask:
    """The parts of a mask that hold some of the seed: cytoplasm beyond a gap is not the cell's."""
    labels = components(mask.astype(np.uint8))
    kept = np.zeros(int(labels.max()) + 1, np.bool_)
    kept[labels[seed]] = True
    kept[0] = False
    return np.asarray(kept[labels])


class _Place(NamedTuple):
    """A window of the field and where the same window begins in the small copy."""

    left: int
    top: int
    width: int
    height: int
    small_left: int
    small_top: int


def _enlarged(mask: Mask, place: _Place, ratio: tuple[float, float]) -> Mask:
    """A mask of the small copy in pixels of the field, its steps smoothed."""
    across, down = ratio
    to_small = np.array(
        [
            [across, 0, (place.left + 0.5) * across - 0.5 - place.small_left],
            [0, down, (place.top + 0.5) * down - 0.5 - place.small_top],
        ]
    )
    grey = cv2.warpAffine(
        mask.astype(np.uint8) * 255,
        to_small,
        (place.width, place.height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(grey >= 128)


def _extent(mask: Mask) -> Box:
    """The smallest box around what is set."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _in_reading_order(cells: list[Cell]) -> list[Cell]:
    """Line by line; a line is as high as the median cell."""
    if not cells:
        return []
    line = float(np.median([cell.diameter for cell in cells]))
    return sorted(cells, key=lambda cell: (cell.centre[1] // line, cell.centre[0]))
