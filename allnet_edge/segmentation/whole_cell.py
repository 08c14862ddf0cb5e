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
RIM = 0.05
"""Of the same: the least that a cell goes beyond its nucleus, whatever the colours say."""
LIKELY = 0.7
"""Near nuclei a colour of cytoplasm is this share of its two frequencies added up."""
CLOSE = 0.15
"""Of the same: gaps in the cytoplasm, as granules make them, are closed up to it ..."""
OPEN = 0.35
"""... and what is thinner is cut off: it is no part of a cell but the rim of a red one."""

_BITS = 7  # of each axis of a histogram of colours: one step is four grey levels of difference
_SMOOTH = 1.25  # steps: sd of what smooths it
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
    closed = cv2.morphologyEx(grown, cv2.MORPH_CLOSE, _ellipse(nuclei.diameter * CLOSE))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, _ellipse(nuclei.diameter * OPEN))
    return np.where((opened > 0) | (away <= rim), owner, 0).astype(np.int32)


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
    here, there = (_frequency(colour[where]) for where in (near, far))
    share = (255 * here / np.maximum(here + there, 1e-9)).astype(np.uint8)
    picture = cv2.GaussianBlur(share[colour], (0, 0), 1.0)
    return np.asarray(picture > 255 * LIKELY)


def _chroma(balanced: Field) -> NDArray[np.uint16]:
    """A number for each pixel's colour without its brightness.

    Of blue - red, which tells cytoplasm from red cells, and green - (red + blue) / 2, which tells
    both from the background, `_BITS` bits each.
    """
    red, green, blue = cv2.split(balanced)
    across = np.asarray(cv2.addWeighted(blue, 0.5, red, -0.5, 128), np.uint16)
    purple = cv2.addWeighted(red, 0.5, blue, 0.5, 0)
    down = np.asarray(cv2.addWeighted(green, 0.5, purple, -0.5, 128), np.uint16)
    shift = 8 - _BITS
    return np.asarray(((down >> shift) << _BITS) | (across >> shift), np.uint16)


def _frequency(colours: NDArray[np.uint16]) -> _Floats:
    """Of every colour among these, smoothed over neighbouring colours."""
    side = 1 << _BITS
    counts = np.bincount(colours, minlength=side**2).astype(np.float32).reshape(side, side)
    smooth = cv2.GaussianBlur(counts, (0, 0), _SMOOTH, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(smooth.ravel() / max(colours.size, 1), dtype=np.float32)
