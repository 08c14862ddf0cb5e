"""From a nucleus to the whole cell: the cytoplasm has colours that are rare far from nuclei.

No fixed colour serves, for the cytoplasm is blue in one cell and pink in the next, and red cells
take the one in one stain and the other in another. But every field shows, far from all nuclei,
what its background and its red cells look like. A colour that is frequent near nuclei and rare
elsewhere is cytoplasm: the ratio of two colour histograms, turned back into a picture (Swain &
Ballard 1991, "Color indexing", International Journal of Computer Vision 7:11).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.cell import Field
from allnet_edge.segmentation.nuclei import Nuclei
from allnet_edge.segmentation.regions import Labels
from allnet_edge.segmentation.splitting import nearest

REACH = 0.5
"""Of the typical nucleus' diameter: cytoplasm is looked for so far from the nucleus."""
RIM = 0.12
"""Of the same: the least that a cell goes beyond its nucleus, whatever the colours say."""
LIKELY = 0.7
"""Near nuclei a colour of cytoplasm is this share of its two frequencies added up."""
CLOSE = 0.15
"""Of the same: gaps in the cytoplasm, as granules make them, are closed up to it ..."""
OPEN = 0.35
"""... and what is thinner is cut off: it is no part of a cell but the rim of a red one."""

_BITS = 6  # of each axis of a histogram of colours
_STEP = 3  # grey levels of a step on it
_SMOOTH = 5.0  # grey levels: sd of what smooths it
_LEAST_FAR = 400  # pixels far from nuclei: with fewer nothing is known of the surroundings

_Floats = NDArray[np.float32]


def whole_cells(nuclei: Nuclei) -> Labels:
    """Grow every nucleus to its cell.

    Returns:
        int32 ``[height, width]`` with the numbers of ``nuclei.regions``; a pixel that two cells
        could have belongs to the nearer nucleus.
    """
    if not nuclei.regions:
        return np.zeros_like(nuclei.labels)
    seeds = _only(nuclei)
    away, owner = nearest(seeds)
    rim, reach = (max(1.0, share * nuclei.diameter) for share in (RIM, REACH))
    cytoplasm = _cytoplasm(nuclei.balanced, away, reach) & (away <= reach)
    grown = ((away <= rim) | cytoplasm).astype(np.uint8)
    grown = cv2.morphologyEx(grown, cv2.MORPH_CLOSE, _ellipse(nuclei.diameter * CLOSE))
    grown = cv2.morphologyEx(grown, cv2.MORPH_OPEN, _ellipse(nuclei.diameter * OPEN))
    grown[away <= rim] = 1
    return np.where(grown > 0, owner, 0).astype(np.int32)


def _ellipse(side: float) -> NDArray[np.uint8]:
    odd = max(3, int(side) | 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (odd, odd)), dtype=np.uint8)


def _only(nuclei: Nuclei) -> Labels:
    """The labels without those that were dropped as debris."""
    keep = np.zeros(int(nuclei.labels.max()) + 1, np.int32)
    for region in nuclei.regions:
        keep[region.label] = region.label
    return np.asarray(keep[np.maximum(nuclei.labels, 0)])


def _cytoplasm(balanced: Field, away: _Floats, reach: float) -> NDArray[np.bool_]:
    """Where the colour speaks for cytoplasm."""
    near, far = (away > 0) & (away <= reach), away > 1.5 * reach
    if np.count_nonzero(far) < _LEAST_FAR:
        return np.zeros(away.shape, np.bool_)
    colour = _chroma(balanced)
    here, there = (_frequency(colour, where) for where in (near, far))
    share = here / np.maximum(here + there, 1e-9)
    picture = cv2.GaussianBlur(share[colour].astype(np.float32), (0, 0), 1.0)
    return np.asarray(picture > LIKELY)


def _chroma(balanced: Field) -> NDArray[np.int32]:
    """A number for each pixel's colour without its brightness.

    Of blue - red, which tells cytoplasm from red cells, and green - (red + blue) / 2, which tells
    both from the background, `_BITS` bits each.
    """
    red, green, blue = (channel.astype(np.int32) for channel in cv2.split(balanced))
    half = 1 << (_BITS - 1)
    across = np.clip((blue - red) // _STEP + half, 0, 2 * half - 1)
    down = np.clip((2 * green - red - blue) // (2 * _STEP) + half, 0, 2 * half - 1)
    return np.asarray((down << _BITS) | across, dtype=np.int32)


def _frequency(colour: NDArray[np.int32], where: NDArray[np.bool_]) -> _Floats:
    """Of every colour among these pixels, smoothed over neighbouring colours."""
    side = 1 << _BITS
    counts = np.bincount(colour[where], minlength=side**2).astype(np.float32).reshape(side, side)
    smooth = cv2.GaussianBlur(counts, (0, 0), _SMOOTH / _STEP, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(smooth.ravel() / max(np.count_nonzero(where), 1), dtype=np.float32)
