"""Fields of view that were drawn, with the boxes of their white cells: no image of a person.

A pale pink ground, red cells with a pale middle, platelets, and white cells with a purple nucleus
in paler blue cytoplasm; with `touching` they come in pairs.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]

GROUND = (236, 228, 232)
RED_CELL = (200, 172, 168)
PALLOR = (226, 210, 210)
CYTOPLASM = (184, 182, 220)
NUCLEUS = (98, 44, 136)
CYTOPLASM_OF_NUCLEUS = 1.3  # diameter of a cell for one of its nucleus
_FINE = 3  # bits behind the point in cv2's coordinates


def phantom_field(
    seed: int,
    cells: int,
    size: tuple[int, int] = (480, 640),
    nucleus: float = 60.0,
    *,
    platelets: int = 4,
    touching: bool = False,
) -> tuple[NDArray[np.uint8], list[Box]]:
    """Draw a field.

    Args:
        seed: The same gives the same field.
        cells: White cells; fewer where no room is left for them.
        size: Height and width in pixels.
        nucleus: Diameter of a nucleus in pixels; a red cell's is 0.85 of it.
        platelets: Purple specks of a third of a nucleus.
        touching: Every second white cell touches the one before it.

    Returns:
        uint8 ``[height, width, 3]`` RGB and the boxes of the whole white cells, none at the border.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:] = GROUND
    whole = nucleus * CYTOPLASM_OF_NUCLEUS
    centres = _centres(rng, cells, size, whole, touching)
    for x, y in _free(rng, round(height * width / (2.2 * nucleus**2)), size, centres, 1.2 * whole):
        _disc(rgb, x, y, 0.425 * nucleus, RED_CELL)
        _disc(rgb, x, y, 0.16 * nucleus, PALLOR)
    for x, y in _free(rng, platelets, size, centres, 1.2 * whole):
        _disc(rgb, x, y, nucleus / 6, NUCLEUS)
    for x, y in centres:
        _disc(rgb, x, y, whole / 2, CYTOPLASM)
    for x, y in centres:
        _disc(rgb, x, y, nucleus / 2, NUCLEUS)
    smooth = cv2.GaussianBlur(rgb, (0, 0), max(0.5, nucleus / 80)).astype(np.float32)
    noisy = smooth + rng.normal(0, 2.0, smooth.shape)
    r = whole / 2
    boxes = [
        (math.floor(x - r), math.floor(y - r), math.ceil(x + r), math.ceil(y + r))
        for x, y in centres
    ]
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8), boxes


def _centres(
    rng: np.random.Generator, n: int, size: tuple[int, int], whole: float, touching: bool
) -> list[tuple[float, float]]:
    margin = whole * 0.7
    found: list[tuple[float, float]] = []
    for _ in range(400):
        if len(found) >= n:
            break
        partner = found[-1] if touching and len(found) % 2 else None
        if partner is not None:
            angle = rng.uniform(0, 2 * math.pi)
            gap = whole / CYTOPLASM_OF_NUCLEUS * 0.97  # the nuclei themselves touch
            x, y = partner[0] + gap * math.cos(angle), partner[1] + gap * math.sin(angle)
        else:
            x, y = rng.uniform(0, size[1]), rng.uniform(0, size[0])
        inside = margin <= x <= size[1] - margin and margin <= y <= size[0] - margin
        apart = (1.2 if partner else 2.3 if touching else 1.3) * whole
        if inside and all(math.dist((x, y), c) > apart for c in found if c is not partner):
            found.append((x, y))
    return found


def _free(
    rng: np.random.Generator,
    n: int,
    size: tuple[int, int],
    taken: list[tuple[float, float]],
    apart: float,
) -> list[tuple[float, float]]:
    drawn = [(rng.uniform(0, size[1]), rng.uniform(0, size[0])) for _ in range(n)]
    return [one for one in drawn if all(math.dist(one, other) > apart for other in taken)]


def _disc(
    rgb: NDArray[np.uint8], x: float, y: float, radius: float, colour: tuple[int, int, int]
) -> None:
    unit = 1 << _FINE
    centre = round(x * unit), round(y * unit)
    cv2.circle(rgb, centre, round(radius * unit), colour, cv2.FILLED, cv2.LINE_AA, _FINE)
