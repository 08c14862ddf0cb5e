"""Near-identical images: what a model could recognise instead of judging it.

Each image becomes a grey thumbnail of its foreground: the bounding box of everything brighter than
the black around a cut-out cell, the whole image where nothing is black. Without that crop two
different dark cells on black differ by next to nothing.

Two images are near-identical when both hold:

1. Their 64-bit perceptual hashes differ in at most `MAX_BITS`. The hash is the sign of the 8 x 8
   lowest frequencies of the thumbnail's cosine transform against their median (pHash: Zauner,
   Implementation and Benchmarking of Perceptual Image Hash Functions, 2010).
2. The mean absolute difference of their thumbnails is at most `MAX_DIFFERENCE` of the smaller of
   their contrasts (mean absolute deviation from the own mean).

Where the limits come from: copies of C-NMC cells that were saved as JPEG (quality 90), brightened
by 6 % or rescaled differ in at most 6 bits and 0.16 of the contrast. 180,000 pairs of different
cells (75 cells in all their turns) and 4.5 million pairs of phantom cells hold none within 6 bits
and 0.45. The number of pairs falls with about the 11th power of the difference, so that less than
one pair of different cells is expected within these limits among the 57 million of C-NMC. On
Aria's fields they find the same field, captured twice or shifted a little.

Candidates are found through buckets: hashes that differ in at most `MAX_BITS` bits agree on at
least one of `MAX_BITS` + 1 bands of bits.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image

from allnet_edge.data.components import components

SIDE = 32
BLACK = 16
MAX_BITS = 6
MAX_DIFFERENCE = 0.2

_BANDS = MAX_BITS + 1
_LOW = 8
_ONES = np.array([bin(value).count("1") for value in range(256)], dtype=np.uint8)

Thumbnails = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.intp]


def thumbnail(image: Image.Image) -> bytes:
    """The grey foreground of an image, ``SIDE * SIDE`` bytes, row by row."""
    grey = image.convert("L")
    foreground = grey.point([255 * (value > BLACK) for value in range(256)]).getbbox()
    return grey.resize((SIDE, SIDE), Image.Resampling.BOX, box=foreground).tobytes()


def perceptual_hashes(thumbnails: Thumbnails) -> npt.NDArray[np.uint64]:
    """The pHash of each thumbnail.

    Args:
        thumbnails: uint8 ``[n, SIDE, SIDE]``.

    Returns:
        uint64 ``[n]``.
    """
    position = np.arange(SIDE)
    waves = np.cos(np.pi * (2 * position + 1) * np.arange(_LOW)[:, None] / (2 * SIDE))
    spectrum = waves @ thumbnails.astype(np.float64) @ waves.T
    flat = spectrum.reshape(-1, _LOW * _LOW)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


def near_identical(thumbnails: Thumbnails) -> list[list[int]]:
    """Find the groups of near-identical images.

    Args:
        thumbnails: uint8 ``[n, SIDE, SIDE]``, as `thumbnail` makes them.

    Returns:
        Row numbers of each group of two and more, sorted; images are grouped also when only
        others of the group link them.
    """
    first: dict[bytes, int] = {}
    pairs = {(first.setdefault(one.tobytes(), row), row) for row, one in enumerate(thumbnails)}
    distinct = np.fromiter(first.values(), dtype=np.intp)
    for one, other in _close_pairs(thumbnails[distinct]):
        pairs.update(zip(distinct[one].tolist(), distinct[other].tolist(), strict=True))
    return components(pairs)


def _close_pairs(thumbnails: Thumbnails) -> Iterator[tuple[Rows, Rows]]:
    hashes = perceptual_hashes(thumbnails)
    pixels = thumbnails.reshape(-1, SIDE * SIDE).astype(np.int16)
    contrast = np.abs(pixels - pixels.mean(axis=1, keepdims=True)).mean(axis=1)
    for one, other in _candidates(hashes):
        difference = np.abs(pixels[one] - pixels[other]).mean(axis=1)
        same = difference <= MAX_DIFFERENCE * np.minimum(contrast[one], contrast[other])
        yield one[same], other[same]


def _candidates(hashes: npt.NDArray[np.uint64]) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of rows whose hashes differ in at most `MAX_BITS`, some of them more than once.

    Rows of one bucket lie side by side once they are sorted, so that comparing the sorted list
    with itself, shifted by 1, 2, ... up to the largest bucket, meets every pair.
    """
    edges = np.linspace(0, 64, _BANDS + 1).astype(int)
    for low, high in pairwise(edges.tolist()):
        mask = np.uint64((1 << (high - low)) - 1)
        band = (hashes >> np.uint64(low)) & mask
        order = np.argsort(band, kind="stable")
        ordered = band[order]
        for shift in range(1, len(hashes)):
            together = np.flatnonzero(ordered[shift:] == ordered[:-shift])
            if not together.size:
                break
            one, other = order[together], order[together + shift]
            close = _distance(hashes[one], hashes[other]) <= MAX_BITS
            if close.any():
                yield one[close], other[close]


def _distance(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    different = (one ^ other).view(np.uint8).reshape(-1, 8)
    count: npt.NDArray[np.intp] = _ONES[different].sum(axis=1, dtype=np.intp)
    return count
