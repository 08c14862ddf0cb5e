"""How sharp the edge of a nucleus is.

An edge that is blurred by a Gaussian of sd b has the greatest slope contrast / (b sqrt(2 pi)).
Smoothed once more by a known Gaussian of sd s it has contrast / (sqrt(b^2 + s^2) sqrt(2 pi)), and
the share of this in what a step would keep, s / sqrt(b^2 + s^2), tells b without regard to the
contrast, so that a pale stain and a deep one are measured alike. Source of the edge model: Elder &
Zucker 1998, "Local scale control for edge detection and blur estimation", IEEE PAMI 20:699; of
smoothing once more by a known blur: Zhuo & Sim 2011, "Defocus map estimation from a single image",
Pattern Recognition 44:1852. s is a fixed share of the nucleus, so that the magnification does not
matter either.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.cell import Field, Mask

SMOOTHING = 0.02
"""s, as a share of the nucleus' diameter: 1 px of a nucleus of 50 px."""
MIN_SMOOTHING_PX = 0.8
"""A narrower Gaussian is not sampled well enough by whole pixels."""

_REACH = 0.16  # of the diameter: how far the profile goes to each side of the edge
_STEPS = 33
_PLACES = 64
_LEAST_CONTRAST = 6.0  # grey levels: below this there is no edge to speak of

_Floats = NDArray[np.float32]


def sharpness(rgb: Field, nucleus: Mask, left: int, top: int) -> float:
    """Of the nucleus' edge in the green channel, where chromatin absorbs most.

    Args:
        rgb: uint8 ``[height, width, 3]``, the field.
        nucleus: bool ``[rows, columns]``: where the nucleus is, with its first pixel at
            (``left``, ``top``) of the field.

    Returns:
        The median over the edge of s / sqrt(b^2 + s^2), 0..1: 1 for a step, 0.45
        where the edge is blurred by 4 % of the nucleus' diameter; 0 where there is no edge.
    """
    diameter = 2 * math.sqrt(float(nucleus.sum()) / math.pi)
    s = max(SMOOTHING * diameter, MIN_SMOOTHING_PX)
    reach = max(_REACH * diameter, 4 * s)
    places, normals = _edge(nucleus, diameter)
    if len(places) == 0:
        return 0.0
    margin = math.ceil(reach + 3 * s) + 1
    patch, x, y = _patch(rgb, left, top, nucleus.shape, margin)
    smooth = cv2.GaussianBlur(patch, (0, 0), s, borderType=cv2.BORDER_REFLECT_101)
    along = np.linspace(-reach, reach, _STEPS, dtype=np.float32)
    at = places[:, np.newaxis] + along[np.newaxis, :, np.newaxis] * normals[:, np.newaxis]
    column, row = at[..., 0] + (left - x), at[..., 1] + (top - y)
    seen = (column >= 0) & (row >= 0)
    seen &= (column <= patch.shape[1] - 1) & (row <= patch.shape[0] - 1)
    whole = seen.all(axis=1)
    if not whole.any():
        return 0.0
    profiles = cv2.remap(smooth, column[whole], row[whole], cv2.INTER_LINEAR)
    return _median_share(np.asarray(profiles, np.float32), along, s)


def _median_share(profiles: _Floats, along: _Floats, s: float) -> float:
    """Over the places where the nucleus differs from what is around it by enough to tell."""
    middle = len(along) // 2
    rise = profiles[:, middle:].mean(axis=1) - profiles[:, :middle].mean(axis=1)
    if float(np.median(rise)) < 0:  # as on black
        profiles = -profiles
    contrast = profiles.max(axis=1) - profiles.min(axis=1)
    slope = np.diff(profiles, axis=1).max(axis=1) / (along[1] - along[0])
    clear = contrast >= max(_LEAST_CONTRAST, float(np.median(contrast)) / 2)
    if not clear.any():
        return 0.0
    share = slope[clear] * (s * math.sqrt(2 * math.pi)) / contrast[clear]
    return min(1.0, float(np.median(share)))  # a thin line can be steeper than a step


def _edge(nucleus: Mask, diameter: float) -> tuple[_Floats, _Floats]:
    """Places (x, y) on the edge and the unit normals that point outwards there."""
    margin = 2
    padded = np.pad(nucleus, margin).astype(np.uint8)
    contours, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(contours, key=len, default=np.empty((0, 1, 2), np.int32))[:, 0]
    if len(points) < 8:
        return np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)
    smooth = cv2.GaussianBlur(padded.astype(np.float32), (0, 0), max(1.0, diameter / 20))
    chosen = points[np.linspace(0, len(points), _PLACES, endpoint=False).astype(int)]
    columns, rows = chosen[:, 0], chosen[:, 1]
    outward = np.stack(
        [
            smooth[rows, columns - 1] - smooth[rows, columns + 1],
            smooth[rows - 1, columns] - smooth[rows + 1, columns],
        ],
        axis=-1,
    )
    length = np.linalg.norm(outward, axis=1)
    usable = length > 1e-6
    return (chosen[usable] - margin).astype(np.float32), outward[usable] / length[usable, None]


def _patch(
    rgb: Field, left: int, top: int, shape: tuple[int, ...], margin: int
) -> tuple[_Floats, int, int]:
    """The green channel around the nucleus as float32, and where its first pixel lies."""
    x, y = max(0, left - margin), max(0, top - margin)
    patch = rgb[y : top + shape[0] + margin, x : left + shape[1] + margin, 1]
    return patch.astype(np.float32), x, y
