"""TFLite int8: what is quantized, what stays float, and that calibration is a set."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from convert_support import answers, observed, ranges_of

from allnet_edge.convert.estimators import estimate_all
from allnet_edge.convert.int8_from_tflite import int8_from_tflite
from allnet_edge.convert.observe_tflite import observe_tflite
from allnet_edge.convert.ranges import Range
from allnet_edge.convert.tflite_graph import int8_operators, read_graph
from allnet_edge.errors import ConversionError

pytestmark = pytest.mark.xdist_group("convert")


class Graph:
    """The operators of a flatbuffer, and the tensors that they read and write."""

    def __init__(self, data: bytes) -> None:
        self.interpreter = Interpreter(model_content=data, experimental_preserve_all_tensors=True)
        self.tensors = {t["index"]: t for t in self.interpreter.get_tensor_details()}
        self.operators = [
            op for op in self.interpreter._get_ops_details() if op["op_name"] != "DELEGATE"
        ]

    def kind(self, index: int) -> type:
        return self.tensors[index]["dtype"]

    def of(self, name: str) -> list[dict]:
        return [op for op in self.operators if op["op_name"] == name]


def int8_of(small, images: np.ndarray | None = None, **options: object) -> bytes:
    return int8_from_tflite(small.tflite, ranges_of(small, images, kind="tflite"), **options)


@pytest.fixture(scope="module")
def quantized(small) -> bytes:
    return int8_of(small)


@pytest.fixture(scope="module")
def graph(quantized) -> Graph:
    return Graph(quantized)


def pixels_of(data: bytes) -> dict:
    (details,) = Interpreter(model_content=data).get_input_details()
    return details


class TestGraph:
    def test_pixels_go_in_as_int8_that_lose_nothing(self, quantized):
        details = pixels_of(quantized)
        assert details["dtype"] == np.int8
        assert details["quantization"] == (1.0, -128)

    def test_what_stays_float_is_named(self, small, quantized):
        told = int8_operators(read_graph(quantized))
        assert "operators compute in int8; in float: " in told
        assert "logits" in told
        assert "conv" not in told
        assert int8_operators(read_graph(small.tflite)).startswith("0 of ")

    @pytest.mark.parametrize("low_high", [(40, 90), (0, 10), (200, 255), (7, 7)])
    def test_also_where_calibration_never_reaches_0_or_255(self, small, low_high):
        low, high = low_high
        rng = np.random.default_rng(0)
        images = rng.integers(low, high + 1, (4, 32, 32, 3)).astype(np.uint8)
        details = pixels_of(int8_of(small, images))
        assert details["quantization"] == (1.0, -128)

    def test_probabilities_come_out_as_float(self, quantized):
        (details,) = Interpreter(model_content=quantized).get_output_details()
        assert details["dtype"] == np.float32
        assert list(details["shape"]) == [1, 1]

    def test_the_last_dense_layer_and_the_sigmoid_are_float(self, graph):
        *inner, last = graph.of("FULLY_CONNECTED")
        assert {graph.kind(i) for i in last["inputs"]} == {np.float32}
        assert {graph.kind(i) for i in last["outputs"]} == {np.float32}
        assert inner
        for dense in inner:
            assert graph.kind(dense["inputs"][0]) == graph.kind(dense["inputs"][1]) == np.int8
        (sigmoid,) = graph.of("LOGISTIC")
        assert {graph.kind(i) for i in (*sigmoid["inputs"], *sigmoid["outputs"])} == {np.float32}

    def test_every_convolution_is_int8_with_one_scale_a_channel_and_zero_points_of_0(self, graph):
        convolutions = graph.of("CONV_2D")
        assert len(convolutions) == 6
        for op in convolutions:
            pixels, kernel, bias = op["inputs"]
            assert graph.kind(pixels) == graph.kind(kernel) == np.int8
            assert graph.kind(bias) == np.int32
            parameters = graph.tensors[kernel]["quantization_parameters"]
            assert len(parameters["scales"]) == graph.tensors[kernel]["shape"][0]
            assert not parameters["zero_points"].any()

    def test_the_answers_are_near(self, small, quantized, tmp_path):
        path = tmp_path / "int8.tflite"
        path.write_bytes(quantized)
        found = answers(path, small.calibration)
        np.testing.assert_allclose(found, small.expected(small.calibration), atol=0.05)


def test_the_order_of_the_images_does_not_matter(small, quantized):
    assert int8_of(small, small.calibration[::-1]) == quantized


def test_every_image_counts(small, quantized):
    brighter = np.concatenate([small.calibration, np.full((1, 32, 32, 3), 255, np.uint8)])
    assert int8_of(small, brighter) != quantized


def test_the_number_of_threads_does_not_matter(small, quantized):
    seen = observe_tflite(small.tflite, small.calibration, threads=2)
    ranges = estimate_all(seen, "min-max", symmetric=False)
    assert int8_from_tflite(small.tflite, ranges) == quantized


def floats(graph: Graph, name: str) -> int:
    return sum(graph.kind(op["inputs"][0]) == np.float32 for op in graph.of(name))


@pytest.mark.parametrize("left", ["left", "tiny/left/Conv2D", "left_relu"])
def test_named_layers_stay_float(small, left):
    graph = Graph(int8_of(small, keep_float=["head_dense", left]))
    assert floats(graph, "FULLY_CONNECTED") == 2
    assert floats(graph, "CONV_2D") == 1


def test_a_name_means_that_layer_and_no_longer_one(small):
    """``head`` begins the names of three layers, and is none."""
    with pytest.raises(ConversionError, match="no operator of the TFLite graph is called 'head'"):
        int8_of(small, keep_float=["head"])


def test_a_misspelt_name_is_refused_with_the_nearest(small):
    with pytest.raises(ConversionError, match="head_dens") as caught:
        int8_of(small, keep_float=["head_dens"])
    assert "head_dense" in caught.value.fix


def test_a_tensor_without_a_range_is_named(small):
    ranges = ranges_of(small, kind="tflite")
    name = next(name for name in ranges if "left_pool" in name)
    del ranges[name]
    with pytest.raises(ConversionError, match=r"no range for .*left_pool"):
        int8_from_tflite(small.tflite, ranges)


def test_a_range_that_is_not_finite_is_refused(small):
    ranges = ranges_of(small, kind="tflite")
    name = next(name for name in ranges if "left_pool" in name)
    with pytest.raises(ConversionError, match="not finite"):
        int8_from_tflite(small.tflite, {**ranges, name: Range(0.0, float("inf"))})


class TestBiasCorrection:
    def test_every_layer_that_is_int8_gets_a_bias_of_its_own(self, small):
        seen = observed(small, kind="tflite")
        ranges = estimate_all(seen, "min-max", symmetric=False)
        graph = Graph(int8_from_tflite(small.tflite, ranges, channel_means=seen.channel_means()))
        layers = [*graph.of("CONV_2D"), *graph.of("FULLY_CONNECTED")[:-1]]
        biases = [op["inputs"][2] for op in layers]
        assert len(set(biases)) == len(layers)
        assert {graph.kind(bias) for bias in biases} == {np.int32}

    def test_it_moves_the_answers_a_little(self, small, quantized, tmp_path):
        seen = observed(small, kind="tflite")
        ranges = estimate_all(seen, "min-max", symmetric=False)
        path, plain = tmp_path / "corrected.tflite", tmp_path / "plain.tflite"
        path.write_bytes(int8_from_tflite(small.tflite, ranges, channel_means=seen.channel_means()))
        plain.write_bytes(quantized)
        found = answers(path, small.calibration)
        assert (found != answers(plain, small.calibration)).any()
        np.testing.assert_allclose(found, small.expected(small.calibration), atol=0.08)

    def test_a_layer_that_was_not_observed_is_named(self, small):
        seen = observed(small, kind="tflite")
        ranges = estimate_all(seen, "min-max", symmetric=False)
        means = dict(seen.channel_means())
        del means[next(name for name in means if "left_pool" in name or "joined" in name)]
        with pytest.raises(ConversionError, match="no channel means of"):
            int8_from_tflite(small.tflite, ranges, channel_means=means)


def test_what_the_quantizer_refuses_is_told(small, monkeypatch):
    from allnet_edge.convert import int8_from_tflite as module

    def refusing(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(module.quantizer, "Quantizer", refusing)
    with pytest.raises(ConversionError, match="cannot be quantized: ValueError") as caught:
        int8_of(small)
    assert caught.value.where == str(small.tflite)


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    path = tmp_path / "no.tflite"
    path.write_bytes(b"no graph")
    with pytest.raises(ConversionError, match="cannot be read"):
        int8_from_tflite(path, {})
