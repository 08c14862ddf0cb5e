"""The red cells of a field as its ruler: about how large one of them is.

Red cells measure 6 to 8 micrometres in every smear, a nucleus of a white cell is about as large or
larger, a platelet half of it or smaller (Bain 2015, "Blood Cells: A Practical Guide", 5th ed.). So
a field without a white cell can be told from one whose nuclei are small pictures, without knowing
the micrometres of a pixel.
"""

import cv2
import numpy as np

from allnet_edge.segmentation.cell import Field
from allnet_edge.segmentation.nucleus_map import Grey

_STAINED = 35  # of the nucleus map: more than any red cell has
_BLACK = 16  # the rim of an eyepiece, dirt
_LEAST_PIXELS = 500
_LEAST_CONTRAST = 8.0
_PALLOR = 0.006  # of the field: a larger hole is a gap between red cells, not their pale middle
_QUANTILE = 0.25
_SMALL = 0.1  # another quantile: where it lies far below, clumps made the first one too large ...
_SPREAD = 1.7  # ... so that it is bounded by this multiple of it


def red_cell_diameter(balanced: Field, soft: Grey) -> float | None:
    """About the diameter of the field's red cells, rather too small than too large.

    The largest circles that fit into what is darker than the background; of their areas the lower
    quartile, since cells that overlap make circles that are too large.

    Args:
        balanced: uint8 ``[height, width, 3]``, of one mean in all channels.
        soft: Its nucleus map.

    Returns:
        Pixels; None where the field shows nothing beside nuclei and background.
    """
    green = np.ascontiguousarray(balanced[..., 1])
    stained = (soft > _STAINED).astype(np.uint8)
    free = cv2.dilate(stained, np.ones((7, 7), np.uint8)) == 0
    free &= green > _BLACK
    rest = green[free]
    if rest.size < _LEAST_PIXELS:
        return None
    level, _ = cv2.threshold(rest.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    darker = (green <= level) & free
    if not _differs(green, darker, free & ~darker):
        return None
    solid = _without_pallor(darker)
    return _lower_quartile(cv2.distanceTransform(solid, cv2.DIST_L2, 5))


def _differs(green: Grey, darker: np.ndarray, lighter: np.ndarray) -> bool:
    if not darker.any() or not lighter.any():
        return False
    return float(green[lighter].mean()) - float(green[darker].mean()) >= _LEAST_CONTRAST


def _without_pallor(darker: np.ndarray) -> Grey:
    labels = np.zeros(darker.shape, np.int32)
    cv2.connectedComponents((~darker).astype(np.uint8), labels, connectivity=4, ltype=cv2.CV_32S)
    small = np.bincount(labels.reshape(-1)) < _PALLOR * darker.size
    small[0] = True  # what is darker
    return np.asarray(small.astype(np.uint8)[labels])


def _lower_quartile(distance: np.ndarray) -> float | None:
    smooth = cv2.GaussianBlur(distance, (5, 5), 0)
    tops = smooth[(smooth == cv2.dilate(smooth, np.ones((11, 11), np.uint8))) & (smooth > 3)]
    if tops.size == 0:
        return None
    tops.sort()
    area = np.cumsum(tops**2)
    usual, small = tops[np.searchsorted(area, np.array([_QUANTILE, _SMALL]) * area[-1])].tolist()
    return float(2 * min(usual, _SPREAD * small))
