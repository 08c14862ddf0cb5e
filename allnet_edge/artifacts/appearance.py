"""How the cells looked that the network was trained on: ``appearance.json`` of a bundle.

A device compares each cell with it before the network is asked: see ``docs/abstention.md``. How
the figures are measured is told in ``measure.appearance``.
"""

from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

from allnet_edge.artifacts.manifest import Probability
from allnet_edge.spec.base import Frozen

APPEARANCE: Final = "appearance.json"

Background = Literal["black", "smear"]
"""What lies around the cell in a training image: nothing, or the smear that it was found in."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Six = tuple[Finite, Finite, Finite, Finite, Finite, Finite]


class Appearance(Frozen):
    """Of training cells, with limits that about 99 % of the validation cells keep to, each.

    A limit that is None is not judged: there were too few validation cells to fit it.

    Attributes:
        background: Black where the cell is cut out, else the smear.
        side: Of a training image in pixels, before it is cropped and resized.
        um_per_px: Micrometres to one of these pixels; None where nobody has said.
        diameter_of: What ``diameter`` is of: the whole cell on black, the nucleus in a smear; of
            the circle of the same area.
        diameter: (low, median, high) in pixels of a training image; outside low..high a cell is
            not judged. None where too few cells were found to tell.
        n: Training cells that the colour was taken from.
        fitted_on: Validation cells that the limits were fitted on.
        colour_mean: Mean of the colour statistic: mean and sd of the optical density of red, green
            and blue.
        colour_covariance: Of the same, shrunk so that it is never singular.
        stain_limit: Largest Mahalanobis distance from ``colour_mean``.
        sharpness_limit: Least sharpness, in 1/pixel of the network's input.
        dark_limit: Largest share of pixels with a channel at its lower end.
        bright_limit: Largest share of pixels with a channel at its upper end.
        level_limit: Least brightness of the brightest twentieth of the pixels, 0..255.
    """

    schema_version: Literal[1] = 1
    background: Background
    side: int = Field(ge=1)
    um_per_px: PositiveFloat | None = None
    diameter_of: Literal["cell", "nucleus"]
    diameter: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None
    n: int = Field(ge=1)
    fitted_on: int = Field(ge=0)
    colour_mean: Six
    colour_covariance: tuple[Six, Six, Six, Six, Six, Six]
    stain_limit: PositiveFloat | None = None
    sharpness_limit: PositiveFloat | None = None
    dark_limit: Probability | None = None
    bright_limit: Probability | None = None
    level_limit: Annotated[float, Field(ge=0, le=255)] | None = None

    @model_validator(mode="after")
    def _usable(self) -> "Appearance":
        if self.diameter is not None and not (
            self.diameter[0] <= self.diameter[1] <= self.diameter[2]
        ):
            raise ValueError("diameter must be (low, median, high), in this order")
        covariance = np.array(self.colour_covariance)
        if not np.allclose(covariance, covariance.T, rtol=1e-6, atol=0):
            raise ValueError("colour_covariance is not symmetric")
        if np.linalg.eigvalsh(covariance)[0] <= 0:
            raise ValueError("colour_covariance is not positive definite")
        return self
