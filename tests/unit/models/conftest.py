"""Networks of the zoo in both Kerases, with weights that differ from every default."""

from collections.abc import Callable
from types import ModuleType

import keras
import numpy as np
import pytest
import tf_keras

from allnet_edge import models
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.models.towers.api import KerasModel
from allnet_edge.spec.network import NetworkSpec, Preprocess

MakeSpec = Callable[..., NetworkSpec]
Build = Callable[[ModuleType, NetworkSpec], KerasModel]


@pytest.fixture(scope="session")
def make_spec() -> MakeSpec:
    def make(
        network: str = "allnet",
        size: int = 96,
        width: float = 0.125,
        *,
        classes: tuple[str, ...] = ("hem", "all"),
        mean: tuple[float, ...] = (31.5,),
        sd: tuple[float, ...] = (47.25,),
    ) -> NetworkSpec:
        preprocess = Preprocess(size=size, mean=mean, sd=sd)
        return NetworkSpec(network=network, preprocess=preprocess, classes=classes, width=width)

    return make


@pytest.fixture(scope="session")
def build_trained() -> Build:
    """A network whose batch norms have moved, as after training: else they would not show."""

    def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
        keras.utils.set_random_seed(7)
        model = models.build(keras, spec)
        rng = np.random.default_rng(7)
        arrays = arrays_of(model)
        for name, array in arrays.items():
            if name.endswith(("gamma", "moving_variance")):
                arrays[name] = rng.uniform(0.7, 1.4, array.shape).astype(np.float32)
            elif name.endswith(("beta", "moving_mean", "bias")):
                arrays[name] = rng.normal(0, 0.1, array.shape).astype(np.float32)
        assign(model, arrays)
        return model

    return build


@pytest.fixture(params=[keras, tf_keras], ids=["keras3", "tf_keras"])
def either_keras(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


@pytest.fixture(scope="session")
def pixels() -> Callable[[int, int], np.ndarray]:
    """Noise [n, size, size, 3] as float32 in 0..255, brighter from image to image."""

    def make(count: int, size: int) -> np.ndarray:
        rng = np.random.default_rng(3)
        noise = rng.integers(0, 256, (count, size, size, 3)).astype(np.float32)
        return noise * np.linspace(0.2, 1, count, dtype=np.float32)[:, None, None, None]

    return make
