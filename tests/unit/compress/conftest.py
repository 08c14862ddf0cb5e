"""A small network and phantom cells to prune it on."""

import numpy as np
import pytest
import tf_keras
from in_memory_pixels import InMemory
from PIL import Image
from zoo import tiny

from allnet_edge.compress.pruning import LabelledFiles
from allnet_edge.compress.turned import LabelledImages
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
def images() -> LabelledImages:
    """24 phantom cells and their class indices."""
    phantoms = generate(24, patients=6, size=SIZE)
    labels = [int(label == "all") for label in phantoms.labels]
    return LabelledImages(InMemory(phantoms.images), labels)


@pytest.fixture(scope="session")
def files(images, tmp_path_factory: pytest.TempPathFactory) -> LabelledFiles:
    """The same as files."""
    folder = tmp_path_factory.mktemp("cells")
    paths = [folder / f"{number:02}.png" for number in range(24)]
    for path, pixels in zip(paths, images.source.images, strict=True):
        Image.fromarray(pixels).save(path)
    return LabelledFiles(paths, images.labels)


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
