"""Whether turned images have black corners that a network for fields has never seen.

Tried with ALLNet (ONNX int8) on Aria's fields at 8 turns, with a threshold fitted without them: the
ROC area stays at 0.97, and every positive cell is missed.
"""

import math

import numpy as np

from allnet_edge.data.samples import Sample
from allnet_edge.evaluation.cells import Cells
from allnet_edge.evaluation.features import glance
from allnet_edge.evaluation.pictures import decoded
from allnet_edge.spec.network import Preprocess

_LOOKED_AT = 16


def corner_notes(cells: Cells, preprocess: Preprocess, turns: int) -> tuple[str, ...]:
    """What the reader has to know about the corners; nothing where they hold the image's own pixels
    or the black of its background.

    Args:
        cells: That are judged on.
        preprocess: Of the network.
        turns: Of each image.
    """
    if all(_covered(sample, preprocess, turns) for sample in cells.samples):
        return ()
    step = max(1, len(cells.samples) // _LOOKED_AT)
    some = cells.samples[::step][:_LOOKED_AT]
    cut_out = np.mean([glance(np.asarray(decoded(cells.index, one))).cut_out for one in some])
    if cut_out > 0.5:
        return ()
    note = (
        f"at {turns} turns the corners of these fields turn black, which the network was not "
        "trained on: its scores may be shifted (4 turns leave no corners)"
    )
    return (note,)


def _covered(sample: Sample, preprocess: Preprocess, turns: int) -> bool:
    """Whether the turned image still covers all that is looked at."""
    shorter = min(sample.width, sample.height)
    if turns in (1, 2):
        return True
    if turns == 4:
        return preprocess.crop is not None or sample.width == sample.height
    return preprocess.crop is not None and preprocess.crop * math.sqrt(2) <= shorter
