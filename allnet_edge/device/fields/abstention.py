"""Whether a cell may be shown to the network at all: the checks before it.

Each compares one figure with a limit that validation cells gave (``artifacts.appearance``), on the
very tensor that the network would see. The check after the network, the uncertain band, is
``artifacts.manifest.Threshold.abstain``. Rules, costs and figures: ``docs/abstention.md``.
"""

from typing import Final

import numpy as np

from allnet_edge.artifacts.appearance import Appearance
from allnet_edge.device.fields.results import Reason
from allnet_edge.measure.appearance import (
    Tensor,
    colour_statistic,
    distance,
    exposure,
    sharpness,
)
from allnet_edge.segmentation.cell import Cell

LEAST_SHARPNESS: Final = 0.25
"""Of ``Cell.sharpness``: the nucleus' edge is blurred by 8 % of its diameter, about a micrometre;
no chromatin can be seen then, whatever the network was trained on."""

Refusal = tuple[Reason, str]
"""Why a cell is not assessed, and the same with its figures for people."""


class Quality:
    """The checks for one bundle; it keeps nothing from one cell to the next.

    Args:
        appearance: Of the bundle; None where it has none: then only a cut and a blurred nucleus
            are found.
    """

    def __init__(self, appearance: Appearance | None) -> None:
        self._appearance = appearance
        if appearance is not None:
            self._mean = np.array(appearance.colour_mean)
            self._covariance = np.array(appearance.colour_covariance)

    def check(self, cell: Cell, tensor: Tensor, scale: float) -> Refusal | None:
        """The first reason not to assess a cell, in the order cut, exposure, focus, size, stain.

        What spoils a later figure comes before it: light that is missing changes the colour too.

        Args:
            cell: As it was found.
            tensor: What the network would be shown, uint8 ``[size, size, 3]``, RGB.
            scale: Pixels of a training image for one of the field.

        Returns:
            None for a cell that may be assessed.
        """
        if cell.cut:
            return Reason.cut, "the border of the field cuts through it"
        known = self._appearance
        if known is None:
            return _out_of_focus(cell)
        return (
            _exposure(tensor, known)
            or _out_of_focus(cell)
            or _blurred(tensor, known)
            or _size(cell, scale, known)
            or self._stain(tensor, known)
        )

    def stain_distance(self, tensor: Tensor) -> float | None:
        """Mahalanobis' distance of the colour statistic from that of the training cells.

        Args:
            tensor: uint8 ``[size, size, 3]``, RGB.

        Returns:
            None without an appearance, or where next to nothing is to be seen.
        """
        if self._appearance is None:
            return None
        colour = colour_statistic(tensor, self._appearance.background)
        return None if colour is None else distance(colour, self._mean, self._covariance)

    def _stain(self, tensor: Tensor, known: Appearance) -> Refusal | None:
        far = self.stain_distance(tensor)
        if far is None or known.stain_limit is None or far <= known.stain_limit:
            return None
        return Reason.stain, f"colour distance {far:.1f}, at most {known.stain_limit:.1f}"


def _exposure(tensor: Tensor, known: Appearance) -> Refusal | None:
    seen = exposure(tensor, known.background)
    if seen is None:
        return Reason.dark, "next to nothing of the cell is to be seen"
    if known.dark_limit is not None and seen.dark > known.dark_limit:
        return Reason.dark, f"{seen.dark:.0%} of it is black, at most {known.dark_limit:.0%}"
    if known.level_limit is not None and seen.level < known.level_limit:
        level = f"its brightest pixels reach {seen.level:.0f} of 255"
        return Reason.dark, f"{level}, at least {known.level_limit:.0f}"
    if known.bright_limit is not None and seen.bright > known.bright_limit:
        lost = f"{seen.bright:.0%} of it is saturated"
        return Reason.bright, f"{lost}, at most {known.bright_limit:.0%}"
    return None


def _out_of_focus(cell: Cell) -> Refusal | None:
    if cell.sharpness >= LEAST_SHARPNESS:
        return None
    what = f"the edge of the nucleus has a sharpness of {cell.sharpness:.2f}"
    return Reason.blurred, f"{what}, at least {LEAST_SHARPNESS:.2f}"


def _blurred(tensor: Tensor, known: Appearance) -> Refusal | None:
    sharp = sharpness(tensor, known.background)
    if known.sharpness_limit is None or sharp is None or sharp >= known.sharpness_limit:
        return None
    widest = f"at most {1 / known.sharpness_limit:.2f} px in the network's input"
    if sharp == 0:
        return Reason.blurred, "nothing in it has an edge"
    return Reason.blurred, f"its edges are {1 / sharp:.2f} px wide, {widest}"


def _size(cell: Cell, scale: float, known: Appearance) -> Refusal | None:
    if known.diameter is None:
        return None
    whole = known.diameter_of == "cell"
    diameter = scale * (cell.diameter if whole else cell.nucleus_diameter)
    low, _, high = known.diameter
    if low <= diameter <= high:
        return None
    what = "cell" if whole else "nucleus"
    if known.um_per_px is not None:
        low, high, diameter = (known.um_per_px * one for one in (low, high, diameter))
    unit = "px of a training image" if known.um_per_px is None else "micrometres"
    return Reason.size, f"{what} of {diameter:.1f}, from {low:.1f} to {high:.1f} {unit}"
