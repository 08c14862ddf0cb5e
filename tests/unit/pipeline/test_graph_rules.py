"""A build reads the graphs that it wrote anew, and stops at one that breaks a rule."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import onnx
import pytest
import tf_keras
from onnx import numpy_helper

from allnet_edge.convert.estimators import estimate_all
from allnet_edge.convert.observe_onnx import observe_onnx
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.ranges import Observation
from allnet_edge.data.samples import Sample
from allnet_edge.errors import ConversionError
from allnet_edge.pipeline.stages.graph_rules import require_qdq_rules, require_sparsity
from allnet_edge.pipeline.stages.quantize import _Form, _observed, _Pictures
from allnet_edge.spec.recipe import PruneSpec

SIZE = 16


@pytest.fixture(scope="module")
def float_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tf_keras.utils.set_random_seed(2)
    pixels = tf_keras.Input((SIZE, SIZE, 3), name="pixels")
    x = tf_keras.layers.Rescaling(1 / 60, -1.5, name="standardise")(pixels)
    x = tf_keras.layers.Conv2D(8, 3, activation="relu", name="conv1")(x)
    x = tf_keras.layers.MaxPool2D(name="pool1")(x)
    x = tf_keras.layers.Conv2D(8, 3, activation="relu", name="conv2")(x)
    x = tf_keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = tf_keras.layers.Dense(1, name="logits")(x)
    model = tf_keras.Model(pixels, tf_keras.layers.Activation("sigmoid", name="probability")(x))
    path: Path = tmp_path_factory.mktemp("rules") / "float.onnx"
    onnx.save(onnx_from_keras(model, SIZE), path)
    return path


def quantized(float_graph: Path, target: Path, **options: object) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
    ranges = estimate_all(observe_onnx(float_graph, images), "min-max", symmetric=True)
    qdq_from_onnx(float_graph, target, ranges, **options)
    return target


def kernel_node(model: onnx.ModelProto, name: str) -> str:
    return next(n.name for n in model.graph.node if n.op_type == "Conv" and name in n.name)


def test_what_the_converter_writes_holds(float_graph: Path, tmp_path: Path) -> None:
    told = require_qdq_rules(quantized(float_graph, tmp_path / "q.onnx"))
    assert told.startswith("no violation of the Q/DQ rules (")


def test_a_broken_rule_stops_the_build_and_names_the_node(
    float_graph: Path, tmp_path: Path
) -> None:
    path = quantized(float_graph, tmp_path / "q.onnx")
    model = onnx.load(path)
    zero = next(t for t in model.graph.initializer if numpy_helper.to_array(t).dtype == np.int8
                and numpy_helper.to_array(t).ndim == 0)  # fmt: skip
    zero.CopyFrom(numpy_helper.from_array(np.array(3, np.int8), zero.name))
    onnx.save(model, path)
    with pytest.raises(ConversionError, match=r"violations of the Q/DQ rules.*\(zero-point\)"):
        require_qdq_rules(path)


def test_layers_kept_in_float_are_allowed_only_where_they_were_named(
    float_graph: Path, tmp_path: Path
) -> None:
    conv = kernel_node(onnx.load(float_graph), "conv2")
    path = quantized(float_graph, tmp_path / "q.onnx", keep_float=[conv])
    require_qdq_rules(path, keep_float=[conv])
    with pytest.raises(ConversionError, match=conv):
        require_qdq_rules(path)
    with pytest.raises(ConversionError, match=conv):
        require_qdq_rules(path, keep_float=[kernel_node(onnx.load(float_graph), "conv1")])


@pytest.mark.parametrize("kind", ["2:4", "channels"])
def test_lost_zeros_stop_the_build_and_name_the_layer(
    float_graph: Path, tmp_path: Path, kind: str
) -> None:
    pruning = PruneSpec(kind="2:4") if kind == "2:4" else PruneSpec(kind=kind, two_of_four=True)
    with pytest.raises(ConversionError, match=r"2:4 zeros were lost in 1 of 1 layers: .*conv2"):
        require_sparsity(float_graph, pruning)
    model = onnx.load(float_graph)
    conv = next(n for n in model.graph.node if n.name == kernel_node(model, "conv2"))
    kernel = next(t for t in model.graph.initializer if t.name == conv.input[1])
    values = numpy_helper.to_array(kernel).copy()
    values[:, ::2] = 0
    kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))
    onnx.save(model, tmp_path / "sparse.onnx")
    told = require_sparsity(tmp_path / "sparse.onnx", pruning)
    assert told == "100 % of the 2:4 blocks of 1 layers hold two zeros"


@pytest.mark.parametrize(
    "pruning", [PruneSpec(), PruneSpec(kind="channels"), PruneSpec(two_of_four=True)]
)
def test_zeros_that_nobody_asked_for_are_not_missed(float_graph: Path, pruning: PruneSpec) -> None:
    assert require_sparsity(float_graph, pruning) is None


def test_what_goes_wrong_on_a_calibration_image_names_its_file(tmp_path: Path) -> None:
    """The third image makes a value that is not finite."""
    samples = [Sample(f"{n}.png", str(n), "all", None, "all", None, 8, 8) for n in range(5)]
    values = [np.full((1, 2, 2, 1), np.nan if n == 2 else n, np.float32) for n in range(5)]

    def observe(images: list[np.ndarray], _: object) -> Observation:
        found = Observation()
        for image in images:
            found.add([("net/conv1", image, None)])
        return found

    pictures = SimpleNamespace(
        of=lambda wanted: (values[int(one.sha256)] for one in wanted),
        index=SimpleNamespace(path=lambda sample: tmp_path / sample.id),
        counting=lambda before, total: (before, total),
    )
    form = cast("_Form", SimpleNamespace(observe=observe))
    with pytest.raises(ConversionError, match="'net/conv1' is NaN or infinite") as caught:
        _observed(form, samples, cast("_Pictures", pictures), 0, 5)
    assert caught.value.where == str(tmp_path / "2.png")
    good = [sample for sample in samples if sample.id != "2.png"]
    assert _observed(form, good, cast("_Pictures", pictures), 0, 4).images == 4
