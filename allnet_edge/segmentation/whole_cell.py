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

REACH = 0.5
"""Of the typical nucleus' diameter: cytoplasm is looked for so far from the nucleus."""
RIM = 0.12
"""Of the same: the least that a cell goes beyond its nucleus, whatever the colours say."""
LIKELY = 0.75
"""Near nuclei a colour of cytoplasm is this share of its two frequencies added up."""

_BITS = 4  # of each channel that a histogram keeps
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
    away, nearest = _nearest(seeds)
    rim, reach = (max(1.0, share * nuclei.diameter) for share in (RIM, REACH))
    cytoplasm = _cytoplasm(nuclei.balanced, away, reach) & (away <= reach)
    side = max(3, round(nuclei.diameter / 12) * 2 + 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    grown = ((away <= rim) | cytoplasm).astype(np.uint8)
    grown = cv2.morphologyEx(grown, cv2.MORPH_OPEN, kernel)
    grown[away <= rim] = 1
    return np.where(grown > 0, nearest, 0).astype(np.int32)


def _only(nuclei: Nuclei) -> Labels:
    """The labels without those that were dropped as debris."""
    keep = np.zeros(int(nuclei.labels.max()) + 1, np.int32)
    for region in nuclei.regions:
        keep[region.label] = region.label
    return np.asarray(keep[np.maximum(nuclei.labels, 0)])


def _nearest(seeds: Labels) -> tuple[_Floats, Labels]:
    """How far each pixel is from a nucleus, and the number of the nearest one."""
    away, ground = cv2.distanceTransformWithLabels(
        (seeds == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.zeros(int(ground.max()) + 1, np.int32)
    inside = seeds > 0
    number[ground[inside]] = seeds[inside]
    return np.asarray(away), number[ground]


def _cytoplasm(balanced: Field, away: _Floats, reach: float) -> NDArray[np.bool_]:
    """Where the colour speaks for cytoplasm."""
    near, far = (away > 0) & (away <= reach), away > 1.5 * reach
    if np.count_nonzero(far) < _LEAST_FAR:
        return np.zeros(away.shape, np.bool_)
    shift = 8 - _BITS
    red, green, blue = (channel.astype(np.int32) >> shift for channel in cv2.split(balanced))
    colour = (red << 2 * _BITS) | (green << _BITS) | blue
    here, there = (_frequency(colour[where]) for where in (near, far))
    share = here / np.maximum(here + there, 1e-9)
    picture = cv2.GaussianBlur(share[colour].astype(np.float32), (0, 0), 1.0)
    return np.asarray(picture > LIKELY)


def _frequency(colours: NDArray[np.int32]) -> _Floats:
    """Of every colour among these, smoothed over neighbouring colours."""
    side = 1 << _BITS
    counts = np.bincount(colours, minlength=side**3).astype(np.float32).reshape(side, side, side)
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        before, same, after = (np.take(padded, range(k, k + side), axis=axis) for k in range(3))
        counts = (before + 2 * same + after) / 4
    return np.asarray(counts.ravel() / max(colours.size, 1), dtype=np.float32)
