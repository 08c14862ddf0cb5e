"""Batch norm whose averages lag: training looks perfect, inference is at chance."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from training_support import Cells

from allnet_edge.data.images import load_batch
from allnet_edge.data.phantom import write_dataset
from allnet_edge.models.storage import float_model
from allnet_edge.spec.training import TrainSettings
from allnet_edge.training.fit import train


@pytest.fixture(scope="module")
def more_cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    root = tmp_path_factory.mktemp("trap") / "cells"
    write_dataset(root, images=240, patients=12, seed=2, size=48)
    return Cells.of(root)


def accuracies(cells: Cells, out: Path, momentum: float | None) -> tuple[float, float]:
    """In training, and in inference on the very same cells."""
    settings = TrainSettings(
        model="alnett", input_size=48, width=0.25, epochs=5, batch_size=12, learning_rate=3e-3,
        bn_momentum=momentum, seed=1,
    )  # fmt: skip
    train(settings, cells.index, cells.split, cells.labels, out)
    # The last epoch, not the best one: the best of a collapsed run is luck.
    last = json.loads((out / "history.json").read_text())[-1]["accuracy"]
    _, network = float_model.instantiate(keras, out)
    from safetensors.numpy import load_file

    state = load_file(out / "checkpoint.safetensors")
    for layer in network.layers:
        for number, variable in enumerate(layer.variables):
            if f"{layer.name}/{number}" in state:
                variable.assign(state[f"{layer.name}/{number}"])
    images = load_batch(cells.paths("train"), float_model.read(out).spec.preprocess)
    scores = network.predict(images.astype(np.float32), verbose=0).ravel()
    return last, float(((scores >= 0.5) == np.array(cells.truth("train"))).mean())


def test_with_the_momentum_of_the_applications_inference_collapses_and_with_ours_it_does_not(
    more_cells, tmp_path
):
    trained, inferred = accuracies(more_cells, tmp_path / "lagging", 0.999)
    assert trained > 0.8
    assert inferred < 0.6
    trained, inferred = accuracies(more_cells, tmp_path / "fitted", None)
    assert trained > 0.8
    assert inferred > 0.8
