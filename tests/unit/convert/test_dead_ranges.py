"""Tensors that say nothing while calibrating: they must not crash the runtime."""

from collections.abc import Mapping
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
from allnet_edge.convert.ranges import Range
from allnet_edge.convert.tflite_from_keras import tflite_from_keras
from allnet_edge.engines import open_runner

SIZE = 32


def network(bias: float, gain: float, first: tf_keras.layers.Layer | None = None) -> tf_keras.Model:
    """Two convolutions; the first one's ReLU is dead with a bias far below zero."""
    tf_keras.utils.set_random_seed(6)
    pixels = tf_keras.Input((SIZE, SIZE, 3), name="pixels")
    x = tf_keras.layers.Rescaling(1 / 60, -1.5, name="standardise")(pixels)
    x = tf_keras.layers.Conv2D(8, 3, name="conv1")(x)
    x = (first or tf_keras.layers.ReLU(name="relu1"))(x)
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
    probe = tf_keras.Model(model.input, model.get_layer("relu1").output)
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


def check_int8(
    model: tf_keras.Model, folder: Path, images: np.ndarray, *, corrected: bool
) -> Mapping[str, Range]:
    """The int8 form answers as the network does; returns the ranges that it was made with."""
    path, small = folder / "m.tflite", folder / "q.tflite"
    path.write_bytes(tflite_from_keras(model, SIZE))
    seen = observe_tflite(path, images)
    ranges = estimate_all(seen, "min-max", symmetric=False)
    means = seen.channel_means() if corrected else None
    small.write_bytes(int8_from_tflite(path, ranges, channel_means=means))
    with open_runner(small) as runner:
        edge = runner.infer(images)
    expected = model.predict(images.astype(np.float32), verbose=0).ravel()
    assert np.abs(edge - expected).max() < 0.02
    return ranges


@pytest.mark.parametrize("corrected", [False, True])
def test_a_relu6_that_is_stuck_at_6_keeps_its_value(
    tmp_path: Path, images: np.ndarray, *, corrected: bool
) -> None:
    model = network(bias=100.0, gain=1.0, first=tf_keras.layers.ReLU(6.0, name="relu6"))
    ranges = check_int8(model, tmp_path, images, corrected=corrected)
    assert any(one.low == one.high == 6 for one in ranges.values())


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("gain", [0.0, 1e-12, -1e-6])
@pytest.mark.parametrize("bias", [5.0, -5.0])
@pytest.mark.parametrize("depthwise", [False, True])
def test_a_channel_without_weights_keeps_its_bias(
    tmp_path: Path,
    images: np.ndarray,
    bias: float,
    gain: float,
    *,
    corrected: bool,
    depthwise: bool,
) -> None:
    """Its bias in steps of input scale x weight scale would not fit the int32 that it is."""
    tf_keras.utils.set_random_seed(6)
    kind = tf_keras.layers.DepthwiseConv2D if depthwise else tf_keras.layers.Conv2D
    more = {"depth_multiplier": 2} if depthwise else {"filters": 6}
    pixels = tf_keras.Input((SIZE, SIZE, 3), name="pixels")
    x = tf_keras.layers.Rescaling(1 / 60, -1.5, name="standardise")(pixels)
    x = kind(kernel_size=3, name="conv1", **more)(x)
    x = tf_keras.layers.LeakyReLU(0.5, name="leaky")(x)  # a negative bias reaches the output too
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = tf_keras.layers.Dense(1, name="logits")(x)
    model = tf_keras.Model(pixels, tf_keras.layers.Activation("sigmoid", name="probability")(x))
    kernel, biases = model.get_layer("conv1").get_weights()
    if depthwise:
        kernel[:, :, 0, 0] *= gain
    else:
        kernel[..., 0] *= gain
    biases[0] = bias
    model.get_layer("conv1").set_weights([kernel, biases])
    check_int8(model, tmp_path, images, corrected=corrected)


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
