"""Small models, and a bundle of them, for the tests of the device side.

One network, a convolution and a dense unit on 32x32 pixels, in every form that a runner has to
take. Standardisation is inside the graph, as in the real ones.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

SIZE = 32
FORMS = {  # of the small network: how far a probability may be from the float network's
    "litert.fp32": 1e-5,
    "litert.int8": 0.02,
    "litert.int8-uint8": 0.02,
    "litert.int8-float": 0.02,
    "onnx.uint8": 1e-5,
    "onnx.float": 1e-5,
    "onnx.named-batch": 1e-5,
}


@dataclass(frozen=True)
class Weights:
    """Of the small network: strided convolution, ReLU, mean over the pixels, dense."""

    kernel: NDArray[np.float32]  # [3, 3, 3, filters], height, width, in, out
    dense: NDArray[np.float32]  # [filters, units]

    @classmethod
    def random(cls, units: int) -> "Weights":
        rng = np.random.default_rng(21)
        kernel = rng.normal(0, 0.3, (3, 3, 3, 4)).astype(np.float32)
        return cls(kernel, rng.normal(0, 0.8, (4, units)).astype(np.float32))

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The same network in plain numpy: the independent oracle of the runners."""
        standard = images.astype(np.float64) / 128 - 1
        windows = np.lib.stride_tricks.sliding_window_view(standard, (3, 3), axis=(1, 2))
        features = np.einsum("nyxcij,ijcf->nyxf", windows[:, ::2, ::2], self.kernel)
        logits = np.maximum(features, 0).mean(axis=(1, 2)) @ self.dense
        if logits.shape[1] == 1:
            return 1 / (1 + np.exp(-logits[:, 0]))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def onnx_model(weights: Weights, path: Path, pixels: str = "UINT8", batch: object = 1) -> Path:
    """The small network as ONNX, opset 17; ``pixels`` is the type of its input."""
    from onnx import TensorProto, helper, numpy_helper, save

    cast = TensorProto.FLOAT
    constants = {
        "kernel": weights.kernel.transpose(3, 2, 0, 1),
        "dense": weights.dense,
        "scale": np.float32(1 / 128),
        "one": np.float32(1),
    }
    final = "Sigmoid" if weights.dense.shape[1] == 1 else "Softmax"
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=cast),
        helper.make_node("Mul", ["float", "scale"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "one"], ["standard"]),
        helper.make_node("Transpose", ["standard"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["nchw", "kernel"], ["features"], strides=[2, 2]),
        helper.make_node("Relu", ["features"], ["positive"]),
        helper.make_node("ReduceMean", ["positive"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "dense"], ["logits"]),
        helper.make_node(final, ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [
            helper.make_tensor_value_info(
                "images", TensorProto.DataType.Value(pixels), [batch, SIZE, SIZE, 3]
            )
        ],
        [helper.make_tensor_value_info("probabilities", cast, [batch, weights.dense.shape[1]])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, path)
    return path


def tflite_models(weights: Weights, folder: Path) -> dict[str, Path]:
    """The small network as TFLite: float, and int8 with int8, uint8 and float inputs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32)])
    def network(pixels):
        standard = pixels / 128 - 1
        features = tf.nn.relu(tf.nn.conv2d(standard, weights.kernel, 2, "VALID"))
        logits = tf.reduce_mean(features, axis=(1, 2)) @ weights.dense
        single = weights.dense.shape[1] == 1
        return tf.sigmoid(logits) if single else tf.nn.softmax(logits)

    holder = tf.Module()
    holder.network = network

    def convert(name: str, input_type: object = None, output_type: object = None) -> Path:
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [network.get_concrete_function()], holder
        )
        if input_type is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = _calibration
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = input_type
            converter.inference_output_type = output_type
        path = folder / f"{name}.tflite"
        path.write_bytes(converter.convert())
        return path

    return {
        "fp32": convert("fp32"),
        "int8": convert("int8", tf.int8, tf.int8),
        "int8-uint8": convert("int8-uint8", tf.uint8, tf.float32),
        "int8-float": convert("int8-float", tf.float32, tf.float32),
    }


def _calibration():
    """With black and white, so that the input's scale is 1 and its zero point -128."""
    extremes = [np.full((SIZE, SIZE, 3), value, np.uint8) for value in (0, 255)]
    for image in [*extremes, *cell_images(30, seed=9)]:
        yield [image[None].astype(np.float32)]


def cell_images(n: int, seed: int = 3) -> NDArray[np.uint8]:
    """uint8 [n, 32, 32, 3]: noise of varying brightness, so that the outputs differ."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(0, 1, (n, 1, 1, 3))
    return (rng.uniform(0, 255, (n, SIZE, SIZE, 3)) * level).astype(np.uint8)


@dataclass(frozen=True)
class ModelFile:
    """A model file with the weights that made it, and how near it comes to them."""

    path: Path
    weights: Weights
    tolerance: float


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelFile]:
    """Every form of the small network, by ``<engine>.<form>.<units>``."""
    folder = tmp_path_factory.mktemp("models")
    found: dict[str, ModelFile] = {}
    for units in (1, 3):
        weights, below = Weights.random(units), folder / str(units)
        below.mkdir()
        paths = {f"litert.{form}": path for form, path in tflite_models(weights, below).items()}
        paths["onnx.uint8"] = onnx_model(weights, below / "uint8.onnx")
        paths["onnx.float"] = onnx_model(weights, below / "float.onnx", "FLOAT")
        paths["onnx.named-batch"] = onnx_model(weights, below / "named.onnx", batch="N")
        for form, tolerance in FORMS.items():
            found[f"{form}.{units}"] = ModelFile(paths[form], weights, tolerance)
    return found


@pytest.fixture
def signing_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for the signing key that is not the user's own."""
    path = tmp_path / "keys" / "signing.key"
    monkeypatch.setenv("ALLNET_EDGE_KEY", str(path))
    return path


@pytest.fixture
def make_bundle(
    model_files: dict[str, ModelFile], tmp_path: Path, signing_key: Path
) -> Callable[..., Path]:
    """Writes a bundle with three candidates and returns its folder."""

    def make(
        chosen: str = "litert.int8",
        verdicts: dict[str, str | None] | None = None,
        abstain: tuple[float, float] | None = (0.4, 0.6),
        more: dict[str, bytes] | None = None,
        **changes: object,
    ) -> Path:
        from allnet_edge.artifacts.bundle_writer import write_bundle
        from allnet_edge.artifacts.golden import Golden
        from allnet_edge.artifacts.manifest import Candidate, Source, Threshold
        from allnet_edge.engines import open_runner
        from allnet_edge.spec.network import Preprocess

        forms = {
            "litert.int8": ("litert.int8.1", "model/model.int8.tflite"),
            "litert.fp32": ("litert.fp32.1", "model/model.fp32.tflite"),
            "onnx.fp32": ("onnx.uint8.1", "model/model.fp32.onnx"),
        }
        judged = {"litert.int8": "pass", "litert.fp32": "pass", "onnx.fp32": "pass"} | (
            verdicts or {}
        )
        images, outputs = cell_images(4), {}
        for identifier, (form, _) in forms.items():
            with open_runner(model_files[form].path, threads=1) as runner:
                outputs[identifier] = runner.infer(images)
        arguments: dict[str, object] = {
            "name": "small",
            "model": "allnet",
            "target": "raspberry-pi-5",
            "source": Source(float_sha256="ab" * 32, build_key="cd" * 32),
            "classes": ("hem", "all"),
            "candidates": tuple(
                Candidate(
                    id=identifier,
                    engine=identifier.partition(".")[0],
                    precision=identifier.partition(".")[2],
                    file=file,
                    verdict=judged[identifier],
                    chosen=identifier == chosen,
                    why="a test",
                )
                for identifier, (_, file) in forms.items()
            ),
            "thresholds": {
                identifier: Threshold(threshold=0.5, fitted_on="validation", abstain=abstain)
                for identifier in forms
            },
            "preprocess": Preprocess(size=SIZE),
            "golden": Golden(images, outputs, dict.fromkeys(forms, 1e-5)),
            "contents": {file: model_files[form].path for form, file in forms.values()}
            | {"docs/model_card.md": b"# Research use only\n"}
            | (more or {}),
            "created": "2026-01-02T03:04:05Z",
        }
        folder = tmp_path / "bundle"
        write_bundle(folder, **(arguments | changes))
        return folder

    return make
