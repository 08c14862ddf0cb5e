"""What a shortcut sees of an image: a few numbers about size and brightness, or the background.

C-NMC's cells lie on black, so that nothing is left of their background, but their size and their
brightness differ by class. In Aria's fields stain, zoom and the colour of the background do.
Nothing is segmented here: a probe must not be better than its name.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIZE_AND_BRIGHTNESS = ("share of the area that is foreground", "mean brightness", "sd of it")
BACKGROUND = tuple(
    f"{what} of {colour} over the brightest quarter of the pixels"
    for what in ("mean", "sd")
    for colour in ("red", "green", "blue")
)

_BLACK = 10  # of 255; JPEG copies of black are not quite 0
_FRAME = 0.04  # of the shorter side
_CLEARED = 0.9  # share of the frame that is black around a cell that was cut out
_DARK = 0.8  # of the bright background: cells are darker

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """One image.

    Attributes:
        cut_out: A cell on black: its frame is black.
        size_and_brightness: float64 ``(3,)``, share 0..1 and brightness 0..255. Cut out: of the
            pixels that are not black. Else: the share of pixels darker than 0.8 of the background,
            which is the 95th percentile of brightness; mean and sd over all pixels.
        background: float64 ``(6,)``, 0..255; of no use where the image is cut out.
    """

    cut_out: bool
    size_and_brightness: Floats
    background: Floats


def glance(pixels: npt.NDArray[np.uint8]) -> Glance:
    """Look at an image.

    Args:
        pixels: uint8 ``[height, width, 3]``, RGB.
    """
    brightness = pixels.mean(axis=2, dtype=np.float64)
    cut_out = bool((_frame(brightness) <= _BLACK).mean() >= _CLEARED)
    low, high = np.percentile(brightness, (75, 95))
    if cut_out:
        inside = brightness > _BLACK
        seen = brightness[inside] if inside.any() else np.zeros(1)
    else:
        inside, seen = brightness < _DARK * high, brightness
    bright = pixels[brightness >= low].astype(np.float64)
    return Glance(
        cut_out,
        np.array([inside.mean(), seen.mean(), seen.std()]),
        np.concatenate([bright.mean(axis=0), bright.std(axis=0)]),
    )


def _frame(brightness: Floats) -> Floats:
    """The outermost pixels."""
    wide = max(1, round(_FRAME * min(brightness.shape)))
    inner = np.zeros(brightness.shape, bool)
    inner[wide:-wide, wide:-wide] = True
    return brightness[~inner]
