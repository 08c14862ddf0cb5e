"""Nuclei that touch, taken apart; lobes of one nucleus, left together.

Source: the watershed of the distance from the border (Meyer 1994, "Topographic distance and
watershed lines", Signal Processing 38:113). What is a nucleus of its own is decided before: a
summit of the distance that is as wide as a nucleus, and parted from a wider one by a neck that is
clearly narrower than itself. The lobes of a segmented nucleus are too narrow for that.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from allnet_edge.segmentation.regions import Labels

Binary = NDArray[np.uint8]
_Distance = NDArray[np.float32]
_Summit = tuple[float, int, int]  # half width in pixels, row, column

NECK = 0.82
"""The neck between two nuclei is at most this share of the narrower one."""

_FLOODS = 5  # levels of the flood: more give the same lines


def split(nuclei: Binary, width: float) -> Labels:
    """One label for each nucleus.

    Args:
        nuclei: uint8 ``[height, width]``, not 0 where any nucleus is.
        width: The least, in pixels, of a nucleus of its own: more than a lobe has.

    Returns:
        int32 ``[height, width]``: 0 outside, another number for each nucleus.
    """
    # A border of nothing: a nucleus that is cut by the field is no wider for it.
    padded = np.pad(nuclei, 1)
    labels = components(padded)
    sharp = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = np.asarray(cv2.GaussianBlur(sharp, (0, 0), max(0.5, width / 20)), np.float32)
    highest = int(labels.max())
    for label, summits in _summits(distance, labels, width).items():
        x, y, columns, rows = cv2.boundingRect((labels == label).astype(np.uint8))
        here = np.s_[y : y + rows, x : x + columns]
        part = labels[here] == label
        relief = np.where(part, distance[here], np.float32(0))
        kept = _own(relief, [(r, v - y, u - x) for r, v, u in summits])
        if len(kept) > 1:
            labels[here][part] = _flooded(relief, part, kept)[part] + highest
            highest += len(kept)
    return np.ascontiguousarray(labels[1:-1, 1:-1])


def components(binary: Binary) -> Labels:
    """One label from 1 on for each part that does not touch another."""
    labels = np.zeros(binary.shape, np.int32)
    cv2.connectedComponents(binary, labels, ltype=cv2.CV_32S)
    return labels


def _summits(distance: _Distance, labels: Labels, width: float) -> dict[int, list[_Summit]]:
    """The wide summits of every component that has at least two, the widest first."""
    reach = max(1, round(width / 6))
    around = cv2.dilate(distance, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    rows, columns = np.nonzero((distance == around) & (distance >= width / 2))
    found: dict[int, list[_Summit]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if label := int(labels[row, column]):
            found.setdefault(label, []).append((float(distance[row, column]), row, column))
    return {label: sorted(one, reverse=True) for label, one in found.items() if len(one) > 1}


def _own(distance: _Distance, summits: list[_Summit]) -> list[_Summit]:
    """Those from which every way to a wider one leads through a neck."""
    kept = summits[:1]
    for summit in summits[1:]:
        core = _core(distance, summit, NECK * summit[0])
        if not any(core[row, column] for _, row, column in kept):
            kept.append(summit)
    return kept


def _core(distance: _Distance, summit: _Summit, level: float) -> NDArray[np.bool_]:
    """What is above a level around a summit."""
    _, wide = cv2.connectedComponents((distance > level).astype(np.uint8))
    return np.asarray(wide == wide[summit[1], summit[2]])


def _flooded(distance: _Distance, part: NDArray[np.bool_], summits: list[_Summit]) -> Labels:
    """1.. for the parts around the summits, level by level from the cores down to the border."""
    levels = [NECK * half_width for half_width, _, _ in summits]
    levels[0] = max(levels[1:])
    made = np.zeros(part.shape, np.int32)
    for number, (summit, level) in enumerate(zip(summits, levels, strict=True), start=1):
        made[_core(distance, summit, level)] = number
    for level in np.linspace(max(levels), 0, _FLOODS + 1)[1:].tolist():
        above = part & (distance > level)
        made = np.where(above & (made == 0), nearest(made)[1], made)
    return np.where(part, np.where(made > 0, made, nearest(made)[1]), 0)


def nearest(labels: Labels) -> tuple[_Distance, Labels]:
    """How far each pixel is from a labelled one, and the label of that one."""
    away, place = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.zeros(int(place.max()) + 1, np.int32)
    inside = labels > 0
    number[place[inside]] = labels[inside]
    return np.asarray(away, dtype=np.float32), number[place]
