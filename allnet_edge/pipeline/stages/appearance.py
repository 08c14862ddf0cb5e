"""How the training cells look, and how far a cell may be from that: ``appearance.json``.

Docs: ``docs/abstention.md``. Colour and diameter are taken from TRAINING cells, limits are fitted
on VALIDATION cells; the gate's cells are not looked at.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from allnet_edge.artifacts.appearance import APPEARANCE, Appearance, Background
from allnet_edge.artifacts.files import write_json
from allnet_edge.data.calibration import select, selection_cells
from allnet_edge.data.images import decode, fit
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.errors import DataError
from allnet_edge.measure.appearance import (
    RATE,
    Exposure,
    cell_diameter,
    colour_statistic,
    distance,
    exposure,
    is_on_black,
    lower_limit,
    sharpness,
    shrunk_covariance,
    upper_limit,
)
from allnet_edge.pipeline.stage import Work
from allnet_edge.progress import Progress, silent
from allnet_edge.segmentation.finding import find_cells
from allnet_edge.spec.network import Preprocess
from allnet_edge.spec.recipe import AppearanceSpec

_SEED = 0
_LOOKED_AT = 32
_SEGMENTED = 150
"""Smears of each part in which nuclei are looked for, which takes longer than all else."""
_ROOM = 1.1
"""The microscope's own mask of a cell is not the training images' mask."""
_USUAL = 2.5
"""About the root of 6: the distance that training cells have on average is never far."""
_DUST = 0.02
"""Share of pixels at an end of the range that does no harm, even if no training cell has any."""
_LIGHT = 0.9
"""A tenth less light than any training cell had does no harm yet."""
_DIGITS = 6
"""Decimal places that are kept: enough, and alike whatever order the sums were taken in."""

_Floats = npt.NDArray[np.float64]


def run(work: Work) -> None:
    """Write ``appearance.json``.

    Raises:
        DataError: A class that the network was not trained on, or cells without colour.
    """
    index, split = work.sources.load(work.progress)
    model, settings = work.sources.model(), work.recipe.appearance
    found = describe(
        index,
        select(split, index, settings.cells, _SEED, model.label_index),
        selection_cells(split, index, settings.cells, _SEED, model.label_index),
        preprocess=model.spec.preprocess,
        settings=settings,
        progress=work.progress,
    )
    write_json(work.folder / APPEARANCE, found.model_dump(mode="json"))
    work.log.info("%s", found)


def describe(
    index: SampleIndex,
    training: Sequence[Sample],
    validation: Sequence[Sample],
    *,
    preprocess: Preprocess,
    settings: AppearanceSpec,
    progress: Progress = silent,
) -> Appearance:
    """Look at training and at validation cells.

    A limit is the wider of two, each by ``measure.appearance.upper_limit``: that of the validation
    cells, and that of the training cells, since validation cells may happen to be of one stain.

    Raises:
        DataError: No training cell shows any colour.
        ImageError: A cell that cannot be decoded.
    """
    background = _background(index, training)
    seen = _look(index, training, preprocess, background, progress)
    fresh = _look(index, validation, preprocess, background, progress)
    if not seen.colours:
        raise DataError(
            "no training cell shows any colour: all are black",
            where=index.root,
            fix="look at the images of the training part",
        )
    colours = np.array(seen.colours)
    mean, covariance = _rounded(colours.mean(axis=0)), _rounded(shrunk_covariance(colours))

    def far(looks: _Looks) -> list[float]:
        return [distance(row, mean, covariance) for row in looks.colours]

    stain = _most(far(seen), far(fresh))
    dark = _most(seen.of("dark"), fresh.of("dark"))
    bright = _most(seen.of("bright"), fresh.of("bright"))
    level = _least(seen.of("level"), fresh.of("level"))
    return Appearance.model_validate(
        {
            "background": background,
            "side": Counter(min(one.width, one.height) for one in training).most_common(1)[0][0],
            "um_per_px": settings.um_per_px,
            "diameter_of": "cell" if background == "black" else "nucleus",
            "diameter": _diameter(seen.diameters, fresh.diameters),
            "n": len(seen.colours),
            "fitted_on": len(validation),
            "colour_mean": mean.tolist(),
            "colour_covariance": covariance.tolist(),
            "stain_limit": None if stain is None else max(_USUAL, stain),
            "sharpness_limit": _least(seen.sharpnesses, fresh.sharpnesses) or None,
            "dark_limit": None if dark is None else max(_DUST, dark),
            "bright_limit": None if bright is None else max(_DUST, bright),
            "level_limit": None if level is None else round(_LIGHT * level, _DIGITS),
        }
    )


@dataclass(frozen=True, slots=True)
class _Looks:
    """What was measured on the cells of one part; a cell that shows nothing has no row."""

    colours: list[_Floats]
    sharpnesses: list[float]
    exposures: list[Exposure]
    diameters: list[float]

    def of(self, what: Literal["dark", "bright", "level"]) -> list[float]:
        """One of the three of each exposure."""
        return [float(getattr(one, what)) for one in self.exposures]


def _look(
    index: SampleIndex,
    samples: Sequence[Sample],
    preprocess: Preprocess,
    background: Background,
    progress: Progress,
) -> _Looks:
    looks = _Looks([], [], [], [])
    for done, sample in enumerate(samples):
        image = decode(index.path(sample))
        tensor = fit(image, preprocess, where=index.path(sample))
        colour, light = colour_statistic(tensor, background), exposure(tensor, background)
        sharp = sharpness(tensor, background)
        looks.colours.extend([] if colour is None else [colour])
        looks.exposures.extend([] if light is None else [light])
        looks.sharpnesses.extend([] if sharp is None else [sharp])
        if background == "black":
            looks.diameters.extend([] if colour is None else [cell_diameter(np.asarray(image))])
        elif done < _SEGMENTED:
            looks.diameters.extend(_nucleus_diameters(image))
        progress("how the cells look", done + 1, len(samples))
    return looks


def _nucleus_diameters(image: Image.Image) -> list[float]:
    """Of the nuclei of whole cells, in pixels of the image."""
    cells = find_cells(np.asarray(image))
    return [cell.nucleus_diameter for cell in cells if not cell.cut]


def _background(index: SampleIndex, training: Sequence[Sample]) -> Background:
    """What most of the cells lie on, by some of them."""
    some = training[:: max(1, len(training) // _LOOKED_AT)]
    black = sum(is_on_black(np.asarray(decode(index.path(one)))) for one in some)
    return "black" if black > len(some) / 2 else "smear"


def _most(training: list[float], validation: list[float], rate: float = RATE) -> float | None:
    own, fitted = (upper_limit(np.array(values), rate) for values in (training, validation))
    return None if own is None or fitted is None else round(max(own, fitted), _DIGITS)


def _least(training: list[float], validation: list[float], rate: float = RATE) -> float | None:
    own, fitted = (lower_limit(np.array(values), rate) for values in (training, validation))
    return None if own is None or fitted is None else round(min(own, fitted), _DIGITS)


def _diameter(training: list[float], validation: list[float]) -> list[float] | None:
    """Low, median and high; half of the rate for either side."""
    low, high = (limit(training, validation, RATE / 2) for limit in (_least, _most))
    if low is None or high is None:
        return None
    ends = (low / _ROOM, float(np.median(training)), high * _ROOM)
    return [round(end, _DIGITS) for end in ends]


def _rounded(values: _Floats) -> _Floats:
    return np.asarray(np.round(values, _DIGITS))
