"""A small network and phantom cells to prune it on."""

from pathlib import Path

import numpy as np
import pytest
import tf_keras
from PIL import Image
from zoo import tiny

from allnet_edge.data.phantom import generate
from allnet_edge.models.towers.api import KerasModel
from allnet_edge.spec.network import NetworkSpec, Preprocess

SIZE = 32


@pytest.fixture(scope="session")
def spec() -> NetworkSpec:
    preprocess = Preprocess(size=SIZE, mean=(11.0,), sd=(25.0,))
    return NetworkSpec(
        network="tiny", preprocess=preprocess, classes=("hem", "all"), bn_momentum=0.8
    )


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[int]]:
    """24 files and their class indices."""
    folder = tmp_path_factory.mktemp("cells")
    phantoms = generate(24, patients=6, size=SIZE)
    paths = [folder / f"{number:02}.png" for number in range(24)]
    for path, pixels in zip(paths, phantoms.images, strict=True):
        Image.fromarray(pixels).save(path)
    return paths, [int(label == "all") for label in phantoms.labels]


@pytest.fixture(scope="session")
def network(spec: NetworkSpec) -> KerasModel:
    """With weights none of which is zero; pruning leaves it as it is."""
    tf_keras.utils.set_random_seed(1)
    model = tiny.build(tf_keras, spec)
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if not variable.numpy().all():
            variable.assign(rng.uniform(0.05, 0.1, variable.shape))
    return model
