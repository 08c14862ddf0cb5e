"""Runs of small networks with drawn weights: judging needs no trained ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge import models
from allnet_edge.artifacts.files import write_bytes
from allnet_edge.data.samples import LabelMap, SampleIndex
from allnet_edge.data.split import Split
from allnet_edge.evaluation.cells import Options
from allnet_edge.models.storage import float_model
from allnet_edge.models.storage.float_model import TrainingRecord
from allnet_edge.models.storage.weights import arrays_of
from allnet_edge.spec.network import NetworkSpec, Preprocess
from allnet_edge.training.backend import choose_backend

SIZE = 32
QUICK = Options(resamples=50)


@dataclass(frozen=True)
class Ground:
    """A data set with its patient split and a run that was trained on it."""

    data: Path
    index: SampleIndex
    split: Split
    labels: LabelMap
    run: Path


def make_run(
    folder: Path,
    split: Split,
    labels: LabelMap,
    *,
    seed: int = 0,
    turns: int | None = None,
    collapsed: bool = False,
) -> Path:
    """A RUN folder as ``train`` leaves it, without the training.

    Args:
        turns: Its recipe's test-time augmentation.
        collapsed: It says the same of every cell.
    """
    choose_backend()
    import keras

    keras.utils.set_random_seed(seed)
    spec = NetworkSpec(
        network="custom_cnn",
        preprocess=Preprocess(size=SIZE, mean=(30.0,), sd=(50.0,)),
        classes=labels.classes,
        width=0.125,
    )
    network = models.build(keras, spec)
    if collapsed:
        last = [layer for layer in network.layers if layer.weights][-1]
        for weights in last.weights:
            weights.assign(np.zeros(weights.shape))
    folder.mkdir(parents=True)
    write_bytes(folder / "split.json", split.model_dump_json(indent=1).encode())
    float_model.save(
        folder,
        arrays_of(network),
        spec,
        label_index=labels.index,
        split_sha256=split.sha256,
        record=TrainingRecord(
            how="train", settings={} if turns is None else {"tta_rotations": turns}
        ),
    )
    return folder


def folder_of_classes(root: Path, classes: Sequence[str], images: int = 12) -> Path:
    """A data set of noise in the layout ``folders``, brighter from class to class."""
    from PIL import Image

    rng = np.random.default_rng(5)
    for at, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(images):
            level = 90 + 40 * at
            pixels = rng.normal(level, 25, (40, 40, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{name}_{number}.png")
    return root
