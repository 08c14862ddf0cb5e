"""TFLite int8: what is quantized, what stays float, and that calibration is a set."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from convert_support import answers, one_by_one

from allnet_edge.convert.int8_from_tflite import int8_from_tflite
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


@pytest.fixture(scope="module")
def quantized(small) -> bytes:
    return int8_from_tflite(small.tflite, one_by_one(small.calibration))


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

    @pytest.mark.parametrize("low_high", [(40, 90), (0, 10), (200, 255), (7, 7)])
    def test_also_where_calibration_never_reaches_0_or_255(self, small, low_high):
        low, high = low_high
        rng = np.random.default_rng(0)
        images = rng.integers(low, high + 1, (4, 32, 32, 3)).astype(np.uint8)
        details = pixels_of(int8_from_tflite(small.tflite, images))
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
    assert int8_from_tflite(small.tflite, small.calibration[::-1]) == quantized


def test_every_image_counts(small, quantized):
    brighter = np.concatenate([small.calibration, np.full((1, 32, 32, 3), 255, np.uint8)])
    assert int8_from_tflite(small.tflite, brighter) != quantized


def test_the_number_of_threads_does_not_matter(small, quantized):
    assert int8_from_tflite(small.tflite, small.calibration, threads=2) == quantized


def test_named_layers_stay_float(small):
    graph = Graph(
        int8_from_tflite(small.tflite, small.calibration, keep_float=["head_dense", "left"])
    )
    assert all(graph.kind(op["inputs"][0]) == np.float32 for op in graph.of("FULLY_CONNECTED"))
    floats = [op for op in graph.of("CONV_2D") if graph.kind(op["inputs"][0]) == np.float32]
    assert len(floats) == 1


def test_progress_counts_the_images(small):
    told = []
    int8_from_tflite(small.tflite, small.calibration[:3], progress=lambda *args: told.append(args))
    assert told == [("TFLite ranges", number, 0) for number in (1, 2, 3)]


def test_no_calibration_image_is_refused(small):
    with pytest.raises(ConversionError, match="no calibration images") as caught:
        int8_from_tflite(small.tflite, iter(()))
    assert caught.value.exit_code == 4


def test_what_the_quantizer_refuses_is_told(small, monkeypatch):
    from allnet_edge.convert import int8_from_tflite as module

    def refusing(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(module.quantizer, "Quantizer", refusing)
    with pytest.raises(ConversionError, match="cannot be quantized: ValueError") as caught:
        int8_from_tflite(small.tflite, small.calibration)
    assert caught.value.where == str(small.tflite)
