"""One small network with moved batch norms, and its float graphs, for all conversions."""

import numpy as np
import onnx
import pytest
import tf_keras
from convert_support import SIZE, Converted
from zoo import tiny

from allnet_edge import models
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.data.phantom import generate
from allnet_edge.models.towers.api import KerasModel
from allnet_edge.spec.network import NetworkSpec, Preprocess


def moved(model: KerasModel, images: np.ndarray) -> KerasModel:
    """Give batch norms and biases values of their own, and the answers a spread."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        kind = variable.name.rsplit("/", 1)[-1].split(":")[0]
        if kind in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.7, 1.4, variable.shape))
        elif kind in ("beta", "moving_mean", "bias"):
            variable.assign(rng.normal(0, 0.1, variable.shape))
    logits = model.get_layer("logits")
    inner = tf_keras.Model(model.inputs, logits.output)
    raw = inner.predict(images.astype(np.float32), verbose=0)
    kernel, bias = logits.get_weights()
    gain = 1.5 / raw.std()
    logits.set_weights([kernel * gain, (bias - raw.mean()) * gain])
    return model


@pytest.fixture(scope="session")
def cells() -> np.ndarray:
    """uint8 [24, 32, 32, 3]."""
    return generate(24, patients=6, seed=2, size=SIZE).images


@pytest.fixture(scope="session")
def spec() -> NetworkSpec:
    preprocess = Preprocess(size=SIZE, mean=(11.0,), sd=(25.0,))
    return NetworkSpec(network="tiny", preprocess=preprocess, classes=("hem", "all"))


@pytest.fixture(scope="session")
def small(
    tmp_path_factory: pytest.TempPathFactory, spec: NetworkSpec, cells: np.ndarray
) -> Converted:
    folder = tmp_path_factory.mktemp("small")
    tf_keras.utils.set_random_seed(3)
    network = moved(tiny.build(tf_keras, spec), cells)
    onnx.save(onnx_from_keras(network, SIZE), folder / "float.onnx")
    (folder / "float.tflite").write_bytes(tflite_from_keras(network, SIZE))
    return Converted(network, cells, folder / "float.onnx", folder / "float.tflite", folder)


@pytest.fixture(scope="session")
def allnet(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """ALLNet at an eighth of its width, on its smallest input: its last maps are 1x1."""
    folder = tmp_path_factory.mktemp("allnet")
    images = generate(8, patients=6, seed=2, size=96).images
    preprocess = Preprocess(size=96, mean=(11.0,), sd=(25.0,))
    spec = NetworkSpec(network="allnet", preprocess=preprocess, classes=("a", "b"), width=0.125)
    tf_keras.utils.set_random_seed(3)
    network = moved(models.build(tf_keras, spec), images)
    onnx.save(onnx_from_keras(network, 96), folder / "float.onnx")
    return Converted(network, images, folder / "float.onnx", folder / "absent", folder)
