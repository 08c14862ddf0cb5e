"""Probabilities of a network on samples, over one or several turns of each image."""

from collections.abc import Sequence

import numpy as np

from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.evaluation.networks import BATCH, Network
from allnet_edge.evaluation.pictures import Turned, decoded, each, turned
from allnet_edge.measure.metrics import finite
from allnet_edge.measure.scored import Floats
from allnet_edge.progress import Progress, silent

_CLIP = 1e-7  # float32 has no probability nearer to 1 than 6e-8, so a logit beyond 16 is rounding


def score(
    network: Network,
    samples: Sequence[Sample],
    index: SampleIndex,
    *,
    turns: int = 1,
    what: str = "cells",
    progress: Progress = silent,
) -> Floats:
    """Score samples.

    Args:
        network: Open.
        samples: In the order of the result.
        index: Where they lie.
        turns: Rotations of each image (see ``pictures.turned``); the scores are the mean logit over
            them (Prellberg & Kramer 2019), as a probability again.
        what: They are, for the progress.
        progress: Told as it goes on.

    Returns:
        float64 ``(n,)`` of the positive class, or ``(n, classes)``.

    Raises:
        DataError: An output that is not finite.
        ImageError: An image that cannot be decoded.
        IntegrityError: A file that changed after it was indexed.
    """

    def prepare(sample: Sample) -> Turned:
        return turned(decoded(index, sample), network.preprocess, turns)

    found: list[Floats] = []
    waiting: list[Turned] = []
    made = each(prepare, samples, ahead=max(4, 2 * BATCH // turns))
    for done, pictures in enumerate(made, start=1):
        waiting.append(pictures)
        if done == len(samples) or (len(waiting) + 1) * turns > BATCH:
            found.append(_outputs(network, np.concatenate(waiting)))
            waiting = []
            progress(what, done, len(samples))
    return mean_logit(np.concatenate(found), turns)


def mean_logit(outputs: Floats, turns: int) -> Floats:
    """The mean over each image's turns, taken of the logits.

    Of a softmax the logarithms are averaged: they are its logits but for a constant of each image,
    which the softmax of the mean takes out again.

    Args:
        outputs: Probabilities, float64 ``(n * turns,)`` or ``(n * turns, classes)``, the turns of
            an image one after the other.
        turns: At least 1; with 1 the outputs are returned as they are.
    """
    if turns == 1:
        return outputs
    inside = np.clip(outputs, _CLIP, 1 - _CLIP)
    if outputs.ndim == 1:
        logits = (np.log(inside) - np.log1p(-inside)).reshape(-1, turns).mean(axis=1)
        return np.asarray(1 / (1 + np.exp(-logits)))
    logs = np.log(inside).reshape(-1, turns, outputs.shape[1]).mean(axis=1)
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _outputs(network: Network, pictures: Turned) -> Floats:
    parts = [
        np.asarray(network.infer(pictures[at : at + BATCH]), np.float64)
        for at in range(0, len(pictures), BATCH)
    ]
    outputs = np.concatenate(parts)
    finite(outputs.ravel(), "outputs of the network")
    return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs
