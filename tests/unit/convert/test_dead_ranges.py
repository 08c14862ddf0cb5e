"""Tensors that say nothing while calibrating: they must not crash the runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import tf_keras

from allnet_edge.convert.estimators import ESTIMATORS, estimate_all
from allnet_edge.convert.int8_from_tflite import _steep, int8_from_tflite
from allnet_edge.convert.observe_onnx import observe_onnx
from allnet_edge.convert.observe_tflite import observe_tflite
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.engines import open_runner

SIZE = 32


def network(bias: float, gain: float) -> tf_keras.Model:
    """Two convolutions; the first one's ReLU is dead with a bias far below zero."""
    pixels = tf_keras.Input((SIZE, SIZE, 3), name="pixels")
    x = tf_keras.layers.Rescaling(1 / 60, -1.5, name="standardise")(pixels)
    x = tf_keras.layers.Conv2D(8, 3, activation="relu", name="conv1")(x)
    x = tf_keras.layers.Conv2D(8, 3, activation="relu", name="conv2")(x)
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = tf_keras.layers.Dense(1, name="logits")(x)
    out = tf_keras.layers.Activation("sigmoid", name="probability")(x)
    model = tf_keras.Model(pixels, out)
    kernel, _ = model.get_layer("conv1").get_weights()
    model.get_layer("conv1").set_weights([kernel * gain, np.full(8, bias, np.float32)])
    kernel, _ = model.get_layer("conv2").get_weights()
    model.get_layer("conv2").set_weights([kernel, np.full(8, 0.5, np.float32)])
    return model


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3), dtype=np.uint8)


def quantized(path: Path, images: np.ndarray, estimator: str = "min-max") -> bytes:
    seen = observe_tflite(path, images)
    return int8_from_tflite(path, estimate_all(seen, estimator, symmetric=False))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_dead_relu_gets_a_range_and_the_graph_runs(
    tmp_path: Path, images: np.ndarray, estimator: str
) -> None:
    model = network(bias=-1e3, gain=1.0)
    path, small = tmp_path / "m.tflite", tmp_path / "q.tflite"
    path.write_bytes(tflite_from_keras(model, SIZE))
    small.write_bytes(quantized(path, images, estimator))
    with open_runner(small) as runner:
        edge = runner.infer(images)
    expected = model.predict(images.astype(np.float32), verbose=0).ravel()
    assert np.abs(edge - expected).max() < 0.02


def test_a_nearly_dead_layer_gets_a_range_that_xnnpack_can_take(
    tmp_path: Path, images: np.ndarray
) -> None:
    # Just alive: an output of 1e-5 out of inputs of about one.
    model = network(bias=-1e3, gain=1.0)
    kernel, _ = model.get_layer("conv1").get_weights()
    probe = tf_keras.Model(model.input, model.get_layer("conv1").output)
    model.get_layer("conv1").set_weights([kernel, np.zeros(8, np.float32)])
    peak = probe.predict(images.astype(np.float32), verbose=0).max(axis=(0, 1, 2))
    model.get_layer("conv1").set_weights([kernel, -(peak - 1e-5)])
    path, small = tmp_path / "m.tflite", tmp_path / "q.tflite"
    path.write_bytes(tflite_from_keras(model, SIZE))
    small.write_bytes(quantized(path, images))
    assert _steep(small.read_bytes()) == {}
    with open_runner(small) as runner:
        edge = runner.infer(images)
    expected = model.predict(images.astype(np.float32), verbose=0).ravel()
    assert np.abs(edge - expected).max() < 0.02


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_dead_relu_does_not_break_onnx_either(
    tmp_path: Path, images: np.ndarray, estimator: str
) -> None:
    model = network(bias=-1e3, gain=1.0)
    path, small = tmp_path / "m.onnx", tmp_path / "q.onnx"
    onnx.save(onnx_from_keras(model, SIZE), path)
    seen = observe_onnx(path, images)
    assert any(one.magnitude == 0 for one in seen.histograms.values())
    qdq_from_onnx(path, small, estimate_all(seen, estimator, symmetric=True))
    with open_runner(small) as runner:
        edge = runner.infer(images)
    expected = model.predict(images.astype(np.float32), verbose=0).ravel()
    assert np.abs(edge - expected).max() < 0.02
