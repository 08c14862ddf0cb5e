"""How an image looks to the checks before a network: colour, sharpness, exposure.

All of it is measured on the network's input, so that training cells and a microscope's cells are
measured alike, whatever their pixels were before.

- Colour: mean and sd of the optical density (Beer-Lambert; Ruifrok & Johnston 2001, Anal Quant
  Cytol Histol 23:291) of each channel; mean and sd a channel are what Reinhard et al. 2001 (IEEE
  CG&A 21:34) transfer a stain by. On black: over the cell. In a smear: over its darker half,
  which holds nuclei, plasma and red cells; the empty rest tells of the lamp, and is most of a
  sparse field. Tried on Aria (docs/abstention.md): all pixels notice a turned hue less, the
  darkest tenth overlooks a lamp that is a fifth darker.
- Distance: Mahalanobis', with the covariance shrunk after Ledoit & Wolf 2004 (J Multivar Anal
  88:365).
- Sharpness: see ``sharpness``.
- Limits: one of split conformal prediction (Vovk et al. 2005; as a test for outliers Laxhammar &
  Falkman 2010), see ``upper_limit``.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from allnet_edge.artifacts.appearance import Background

Tensor = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
_Bools = npt.NDArray[np.bool_]

RATE: Final = 0.01
"""Share of the cells like the validation cells that one limit refuses."""
FEWEST: Final = 20
"""Validation cells below which no limit is fitted."""
STATISTIC: Final = 6
"""Numbers in a colour statistic."""

_BLACK = 8  # of 255: at most this in every channel is no cell
_CLIPPED = 8  # grey levels from either end of the range, at which a channel tells nothing more
_LEAST = 0.01  # share of the image that a cell must cover for anything to be said of it
_REACH = 3  # pixels that the sharpness looks to each side
_BRIGHTEST = 0.95
_FLOOR = 2.5e-5  # variance: (0.005)^2 of optical density, less than two cameras differ by
_DENSITY: Floats = -np.log10((np.arange(256) + 1) / 256)
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much of a cell's light was lost.

    Attributes:
        dark: Share of the pixels with a channel at the lower end of its range.
        bright: Share of the pixels with a channel at the upper end.
        level: That 95 % of the pixels' brightest channels do not exceed, 0..255; in a smear over
            all of the image, so that it tells of the lamp; on black over the cell.
    """

    dark: float
    bright: float
    level: float


def is_on_black(image: Tensor) -> bool:
    """Whether an image shows a cell on black: its four corners are.

    Args:
        image: uint8 ``[height, width, 3]``; a corner is a sixteenth of either side.
    """
    rows, columns = (max(1, side // 16) for side in image.shape[:2])
    corners = (
        image[top, left]
        for top in (slice(rows), slice(-rows, None))
        for left in (slice(columns), slice(-columns, None))
    )
    return all(float(corner.max(axis=2).mean()) <= _BLACK for corner in corners)


def cell_diameter(image: Tensor) -> float:
    """Of the circle with the area of what is not black, in pixels of the image.

    Args:
        image: uint8 ``[height, width, 3]``, a cell on black.
    """
    return 2 * math.sqrt(int((image.max(axis=2) > _BLACK).sum()) / math.pi)


def colour_statistic(tensor: Tensor, background: Background) -> Floats | None:
    """Mean and sd of the optical density of red, green, blue: float64 ``(6,)``, 0..2.41.

    Args:
        tensor: uint8 ``[size, size, 3]``, RGB.
        background: Of the training images.

    Returns:
        None where next to nothing is to be seen.
    """
    planes = _planes(tensor)
    inside = _looked_at(planes, background)
    if inside is None:
        return None
    counts = np.stack([np.bincount(plane[inside], minlength=256) for plane in planes])
    shares = counts / counts[0].sum()
    mean = shares @ _DENSITY
    spread = (shares * (_DENSITY - mean[:, np.newaxis]) ** 2).sum(axis=1)
    return np.concatenate([mean, np.sqrt(spread)])


def exposure(tensor: Tensor, background: Background) -> Exposure | None:
    """See ``Exposure``; None where next to nothing is to be seen.

    Args:
        tensor: uint8 ``[size, size, 3]``, RGB.
        background: Of the training images; black is no darkness.
    """
    planes = _planes(tensor)
    inside = _looked_at(planes, background)
    if inside is None:
        return None
    least, most = planes.min(axis=0), planes.max(axis=0)
    lit = np.bincount((most[inside] if background == "black" else most).ravel(), minlength=256)
    return Exposure(
        dark=float((least[inside] <= _CLIPPED).mean()),
        bright=float((most[inside] >= 255 - _CLIPPED).mean()),
        level=float(_quantile(lit, _BRIGHTEST)),
    )


def sharpness(tensor: Tensor, background: Background) -> float | None:
    """How narrow the edges are, in 1/pixel of the network's input.

    The root of twice the power of the Laplacian over that of the gradient: for an edge that a
    Gaussian of sd b has blurred it is 1/b, whatever its contrast. In frequencies it is the mean
    square frequency of the gradient, and more Gaussian blur can only lower it: it takes more of
    the high ones. The image is smoothed by a known blur first (a binomial of sd 1), since without
    that a camera's noise passes for sharpness; so b is 1 or more. On black only what lies whole
    inside the cell is looked at: the cut around it is sharp, whatever the focus.

    Args:
        tensor: uint8 ``[size, size, 3]``, RGB.
        background: Of the training images.

    Returns:
        0 where nothing has an edge, else up to about 1; None where next to nothing is to be seen.
    """
    planes = _planes(tensor)
    red, green, blue = (
        weight * plane.astype(np.float32) for weight, plane in zip(_GREY, planes, strict=True)
    )
    grey = red + green + blue
    for _ in range(2):
        grey = _binomial(grey)
    middle = grey[1:-1, 1:-1]
    around = (grey[1:-1, 2:], grey[1:-1, :-2], grey[2:, 1:-1], grey[:-2, 1:-1])
    steps = np.stack([neighbour - middle for neighbour in around])
    slope, bend = (steps**2).sum(axis=0) / 2, steps.sum(axis=0) ** 2
    if background == "black":
        inside = eroded(_cell(planes), _REACH)[_REACH:-_REACH, _REACH:-_REACH]
        if inside.sum() < _LEAST * tensor.shape[0] * tensor.shape[1]:
            return None
        slope, bend = slope[inside], bend[inside]
    power = float(slope.mean())
    # The rounding of an image to 256 levels makes slopes of this power where there are none.
    return math.sqrt(2 * float(bend.mean()) / power) if power > 1e-3 else 0.0


def eroded(mask: _Bools, reach: int) -> _Bools:
    """The pixels whose whole square of ``2 * reach + 1`` lies in the mask; none at the border."""
    height, width = mask.shape
    padded = np.pad(mask, reach)
    steps = range(2 * reach + 1)
    rows = np.logical_and.reduce([padded[k : k + height] for k in steps])
    return np.asarray(np.logical_and.reduce([rows[:, k : k + width] for k in steps]))


def shrunk_covariance(rows: Floats) -> Floats:
    """Ledoit & Wolf's covariance, and a floor under it, so that it is positive definite.

    Args:
        rows: float64 ``(n, p)``, one statistic a row; n >= 1.

    Returns:
        float64 ``(p, p)``.
    """
    n, p = rows.shape
    centred = rows - rows.mean(axis=0)
    sample = np.einsum("ni,nj->ij", centred, centred) / n
    identity = np.eye(p)
    scale = float(np.trace(sample)) / p
    spread = float(((sample - scale * identity) ** 2).sum())
    squares = float((np.einsum("ni,ni->n", centred, centred) ** 2).sum())
    error = (squares / n - float((sample**2).sum())) / n
    share = min(1.0, max(0.0, error / spread)) if spread > 0 else 1.0
    return np.asarray(share * scale * identity + (1 - share) * sample + _FLOOR * identity)


def distance(statistic: Floats, mean: Floats, covariance: Floats) -> float:
    """Mahalanobis' distance, >= 0; of the training cells about the root of 6.

    Args:
        statistic: float64 ``(p,)``.
        mean: float64 ``(p,)``.
        covariance: float64 ``(p, p)``, positive definite.
    """
    residual = statistic - mean
    return math.sqrt(max(0.0, float(residual @ np.linalg.solve(covariance, residual))))


def upper_limit(values: Floats, rate: float = RATE) -> float | None:
    """A limit that at most the share ``rate`` of further, exchangeable cells exceed.

    It is the k-th smallest of n values, k = ceil((n + 1) (1 - rate)). Fewer than 1/rate - 1 values
    cannot support the rate: then it is the largest, and 1 of n + 1 further cells exceeds it.

    Args:
        values: float64 ``(n,)``.
        rate: 0 < rate < 1.

    Returns:
        None for fewer than ``FEWEST`` values.
    """
    n = values.size
    if n < FEWEST:
        return None
    k = min(n, math.ceil(round((n + 1) * (1 - rate), 9)))
    return float(np.sort(values)[k - 1])


def lower_limit(values: Floats, rate: float = RATE) -> float | None:
    """The same from below."""
    limit = upper_limit(-values, rate)
    return None if limit is None else -limit


def _planes(tensor: Tensor) -> Tensor:
    """uint8 ``[3, size, size]``: what follows is several times as fast on whole planes."""
    return np.ascontiguousarray(np.moveaxis(tensor, 2, 0))


def _cell(planes: Tensor) -> _Bools:
    return np.asarray(planes.max(axis=0) > _BLACK)


def _looked_at(planes: Tensor, background: Background) -> _Bools | None:
    """On black the cell without its rim, which is mixed with black; else the darker half."""
    if background == "smear":
        brightness = planes.sum(axis=0, dtype=np.uint16)
        return np.asarray(brightness <= _quantile(np.bincount(brightness.ravel()), 0.5))
    inside = eroded(_cell(planes), 1)
    return inside if inside.mean() >= _LEAST else None


def _quantile(counts: npt.NDArray[np.int64], share: float) -> int:
    """The least value that at least this share of what was counted does not exceed."""
    below = np.cumsum(counts)
    return int(np.searchsorted(below, share * below[-1]))


def _binomial(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Smoothed along both axes, which takes a pixel off every side."""
    rows = grey[:-2] + 2 * grey[1:-1] + grey[2:]
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16, np.float32)
