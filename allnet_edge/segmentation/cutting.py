"""A cell cut out of its field in the geometry of a training image."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from allnet_edge.segmentation.cell import Cell, Field, Mask
from allnet_edge.segmentation.checks import check_field

Background = Literal["black", "smear"]
BACKGROUNDS = ("black", "smear")
MAX_WINDOW = 8192
_Rows = NDArray[np.intp]


def cut_out(
    rgb: Field, cell: Cell, *, side: int, scale: float, background: Background
) -> NDArray[np.uint8]:
    """The cell in the middle of a square picture, as the training images show theirs.

    One resampling with Pillow's bilinear filter, antialiased where it shrinks, the one that
    `data.images` uses. The window begins at a whole pixel of the field, so that at scale 1 pixels
    are copied, not mixed; the cell is off the middle by half a pixel at most.

    Args:
        rgb: uint8 ``[height, width, 3]``, the field.
        cell: Found in it.
        side: Of the picture, in pixels; the training images' side.
        scale: Pixels of a training image for one of the field.
        background: ``black``: everything outside the whole cell is 0; ``smear``: the surroundings
            stay. Beyond the border the field is mirrored.

    Returns:
        uint8 ``[side, side, 3]``, RGB.

    Raises:
        ValueError: The field is none, ``side`` is not positive, ``background`` is unknown, or
            ``scale`` is not positive or so small that the window would be over `MAX_WINDOW` px.
    """
    check_field(rgb)
    if side < 1:
        raise ValueError(f"the side of a picture must be at least 1 px, not {side}")
    if background not in BACKGROUNDS:
        raise ValueError(f"the background must be one of {', '.join(BACKGROUNDS)}: {background!r}")
    if not 0 < scale < float("inf") or side / scale > MAX_WINDOW:
        raise ValueError(
            f"a scale of {scale} makes no window of at most {MAX_WINDOW} px of a side of {side} px"
        )
    window = side / scale
    rows, columns = (
        round(middle - window / 2) + np.arange(int(np.ceil(window))) for middle in cell.centre[::-1]
    )
    picture = _resample(_seen(rgb, rows, columns), window, side)
    if background == "black":
        picture[_resample(_mask_in(cell, rows, columns), window, side) < 128] = 0
    return picture


def _seen(rgb: Field, rows: _Rows, columns: _Rows) -> Field:
    """The window of the field, mirrored where it goes beyond the border."""
    height, width = rgb.shape[:2]
    (top, bottom), (left, right) = ((int(at[0]), int(at[-1]) + 1) for at in (rows, columns))
    if min(top, left) >= 0 and bottom <= height and right <= width:
        return rgb[top:bottom, left:right]
    # One axis after the other: whole rows are copied at once.
    return rgb[_mirrored(rows, height)][:, _mirrored(columns, width)]


def _resample(image: NDArray[np.uint8], window: float, side: int) -> NDArray[np.uint8]:
    resized = Image.fromarray(image).resize(
        (side, side), Image.Resampling.BILINEAR, box=(0, 0, window, window)
    )
    return np.array(resized, dtype=np.uint8)


def _mirrored(index: _Rows, n: int) -> _Rows:
    """Indices into ``n`` pixels for positions that may lie beyond them, mirrored at the border."""
    turn = np.abs(index) % (2 * n - 2)
    return np.asarray(np.minimum(turn, 2 * n - 2 - turn))


def _mask_in(cell: Cell, rows: _Rows, columns: _Rows) -> NDArray[np.uint8]:
    x0, y0, x1, y1 = cell.box
    inside: Mask = ((rows >= y0) & (rows < y1))[:, np.newaxis] & (columns >= x0) & (columns < x1)
    made = np.zeros(inside.shape, dtype=np.uint8)
    if inside.any():
        here = cell.mask[
            np.clip(rows - y0, 0, y1 - y0 - 1)[:, np.newaxis],
            np.clip(columns - x0, 0, x1 - x0 - 1),
        ]
        made[here & inside] = 255
    return made
