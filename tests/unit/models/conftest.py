"""Networks of the zoo in both Kerases, with weights that differ from every default."""

from collections.abc import Callable
from types import ModuleType

import keras
import numpy as np
import pytest
import tf_keras

from allnet_edge import models
from allnet_edge.models.storage.weights import Arrays, arrays_of, assign
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
        return NetworkSpec(
            network=network,
            preprocess=Preprocess(size=size, mean=mean, sd=sd),
            classes=classes,
            width=width,
            bn_momentum=0.5,  # moving averages that arrive within a few batches
        )

    return make


@pytest.fixture(scope="session")
def build_trained(pixels: Callable[[int, int], np.ndarray]) -> Build:
    """A network as after training: fresh batch norms and biases would hide wrong ones.

    The averages of its batch norms are those of real maps: with any others the maps of a deep
    network die out. Its logits have a spread of one half, whatever random weights made of them.
    """

    def build(keras: ModuleType, spec: NetworkSpec) -> KerasModel:
        keras.utils.set_random_seed(7)
        model = models.build(keras, spec)
        images = pixels(8, spec.input_size)
        assign(model, moved(arrays_of(model)))
        if any(name.endswith("moving_mean") for name in arrays_of(model)):
            for _ in range(8):
                model(images, training=True)
        arrays = arrays_of(model)
        for name, array in arrays.items():
            if name.endswith("moving_variance"):
                # Where these few images agree nothing is to be blown up: rounding would show.
                arrays[name] = np.maximum(array, 0.1 * array.mean())
        assign(model, arrays)
        inner = keras.Model(model.inputs, model.get_layer("logits").output)
        raw = inner.predict(images, verbose=0)
        gain = np.minimum(0.1 / raw.std(axis=0), 10.0)
        arrays["logits/kernel"] = arrays["logits/kernel"] * gain
        arrays["logits/bias"] = (arrays["logits/bias"] - raw.mean(axis=0)) * gain
        assign(model, arrays)
        return model

    return build


def moved(arrays: Arrays) -> Arrays:
    rng = np.random.default_rng(7)
    spread = {"gamma": (1.0, 0.2), "beta": (0.0, 0.1), "bias": (0.0, 0.1)}
    found = dict(arrays)
    for name, array in arrays.items():
        kind = name.rsplit("/", 1)[-1]
        if kind in spread:
            found[name] = rng.normal(*spread[kind], array.shape).astype(np.float32)
    return found


@pytest.fixture(params=[keras, tf_keras], ids=["keras3", "tf_keras"])
def either_keras(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


@pytest.fixture(scope="session")
def pixels() -> Callable[[int, int], np.ndarray]:
    """Patches of colour under noise, [n, size, size, 3] as float32 in 0..255.

    Images of noise alone look the same to a deep network: their answers would differ by little
    more than rounding.
    """

    def make(count: int, size: int) -> np.ndarray:
        rng = np.random.default_rng(3)
        patches = rng.integers(0, 256, (count, 4, 4, 3))
        side = -(-size // 4)
        drawn = patches.repeat(side, axis=1).repeat(side, axis=2)[:, :size, :size]
        noisy = drawn + rng.normal(0, 20, drawn.shape)
        return noisy.clip(0, 255).round().astype(np.float32)

    return make
