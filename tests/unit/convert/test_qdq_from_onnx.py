"""ONNX int8 with explicit Q/DQ: symmetric, per channel, and placed so that layers still fuse."""

import numpy as np
import onnx
import pytest
from convert_support import answers, constants, maker, model_of, of_type, one_by_one, users
from onnx import helper

from allnet_edge.convert.onnx_cleanup import shapes
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.errors import ConversionError

pytestmark = pytest.mark.xdist_group("convert")
Q, DQ = "QuantizeLinear", "DequantizeLinear"


@pytest.fixture(scope="module", params=["small", "allnet"])
def pair(request):
    """The float files, and the quantized graph."""
    source = request.getfixturevalue(request.param)
    path = source.folder / "int8.onnx"
    qdq_from_onnx(source.onnx, path, one_by_one(source.calibration))
    return source, path


class TestGraph:
    def test_every_zero_point_is_int8_0(self, pair):
        source, path = pair
        graph = source.graph(path)
        values = constants(graph)
        assert of_type(graph, Q)
        for node in of_type(graph, Q, DQ):
            zero = values[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()

    def test_weights_have_one_scale_a_channel_and_their_own_pair(self, pair):
        source, path = pair
        graph = source.graph(path)
        values, seen = constants(graph), 0
        for conv in of_type(graph, "Conv"):
            dequantize = maker(graph, conv.input[1])
            assert dequantize.op_type == DQ
            quantize = maker(graph, dequantize.input[0])
            kernel = values[quantize.input[0]] if quantize else values[dequantize.input[0]]
            assert values[dequantize.input[1]].shape == (kernel.shape[0],)
            assert next(a.i for a in dequantize.attribute if a.name == "axis") == 0
            seen += 1
        assert seen == len(of_type(source.graph(), "Conv"))

    def test_weights_reach_the_ends_of_the_range_and_not_minus_128(self, pair):
        source, path = pair
        graph = source.graph(path)
        values = constants(graph)
        for conv in of_type(graph, "Conv"):
            dequantize = maker(graph, conv.input[1])
            quantize = maker(graph, dequantize.input[0])
            scale = values[dequantize.input[1]][:, None, None, None]
            kernel = values[(quantize or dequantize).input[0]]
            grid = np.rint(kernel / scale) if quantize else kernel
            assert np.abs(grid.astype(int)).max() == 127

    def test_every_convolution_reads_quantized_pixels(self, pair):
        source, path = pair
        graph = source.graph(path)
        for conv in of_type(graph, "Conv"):
            assert maker(graph, conv.input[0]).op_type == DQ, conv.name

    def test_nothing_stands_between_a_convolution_and_its_relu(self, pair):
        source, path = pair
        graph, before = source.graph(path), source.graph()
        followed = 0
        for conv in of_type(before, "Conv"):
            kinds = [node.op_type for node in users(before, conv.output[0])]
            now = next(node for node in of_type(graph, "Conv") if node.name == conv.name)
            if kinds == ["Relu"]:
                assert [n.op_type for n in users(graph, now.output[0])] == ["Relu"], conv.name
                followed += 1
        assert followed > 3

    def test_the_last_dense_layer_is_float_and_those_before_it_are_not(self, pair):
        source, path = pair
        graph, before = source.graph(path), source.graph()
        *inner, last = of_type(graph, "MatMul", "Gemm")
        assert last.input[1] in constants(graph)
        assert constants(graph)[last.input[1]].dtype == np.float32
        assert maker(graph, last.input[0]).op_type != DQ
        assert inner
        for dense in inner:
            assert [maker(graph, value).op_type for value in dense.input[:2]] == [DQ, DQ]
            scales = constants(graph)[maker(graph, dense.input[1]).input[1]]
            assert scales.shape == shapes(before)[dense.output[0]][1:]

    def test_input_output_and_opset_are_those_of_the_float_graph(self, pair):
        source, path = pair
        before, after = onnx.load(source.onnx), onnx.load(path)
        assert list(after.graph.input) == list(before.graph.input)
        assert list(after.graph.output) == list(before.graph.output)
        assert {o.domain: o.version for o in after.opset_import}[""] == 17
        assert not after.doc_string
        onnx.checker.check_model(after, full_check=True)


def quantized(small, tmp_path, images, name: str = "q.onnx", **options: object) -> bytes:
    qdq_from_onnx(small.onnx, tmp_path / name, images, **options)
    return (tmp_path / name).read_bytes()


def test_the_order_of_the_images_does_not_matter(small, tmp_path):
    forward = quantized(small, tmp_path, small.calibration)
    assert quantized(small, tmp_path, small.calibration[::-1], "again.onnx") == forward


def test_the_answers_are_near(small, tmp_path):
    quantized(small, tmp_path, small.calibration)
    found = answers(tmp_path / "q.onnx", small.calibration)
    np.testing.assert_allclose(found, small.expected(small.calibration), atol=0.08)


def test_every_image_counts(small, tmp_path):
    without = quantized(small, tmp_path, small.calibration)
    brighter = np.concatenate([small.calibration, np.full((1, 32, 32, 3), 255, np.uint8)])
    assert quantized(small, tmp_path, brighter, "more.onnx") != without


def test_named_nodes_stay_float(small, tmp_path):
    names = [node.name for node in of_type(small.graph(), "Conv")]
    quantized(small, tmp_path, small.calibration, keep_float=[names[2]])
    graph = small.graph(tmp_path / "q.onnx")
    kept = next(node for node in graph.node if node.name == names[2])
    assert kept.input[1] in constants(graph)
    others = [node for node in of_type(graph, "Conv") if node.name != names[2]]
    assert all(maker(graph, node.input[1]).op_type == DQ for node in others)


def test_progress_counts_the_images(small, tmp_path):
    told = []
    quantized(small, tmp_path, small.calibration[:3], progress=lambda *args: told.append(args))
    assert told == [("ONNX ranges", number, 0) for number in (1, 2, 3)]


def test_no_calibration_image_is_refused(small, tmp_path):
    with pytest.raises(ConversionError, match="no calibration images") as caught:
        quantized(small, tmp_path, iter(()))
    assert caught.value.exit_code == 4
    assert not (tmp_path / "q.onnx").exists()


def test_a_zero_point_that_is_not_0_is_refused(small, tmp_path, monkeypatch):
    """Should another release of the quantizer ignore what it is asked for."""
    from allnet_edge.convert import qdq_from_onnx as module

    offset = model_of(
        [helper.make_node(Q, ["x", "scale", "zero"], ["q"], name="bad"),
         helper.make_node(DQ, ["q", "scale", "zero"], ["y"])],
        {"x": [1, 4]}, {"y": [1, 4]},
        {"scale": np.array(0.1, np.float32), "zero": np.array(-128, np.int8)},
    )  # fmt: skip

    def other_release(source, target, reader, **_):
        reader.get_next()
        onnx.save(offset, target)

    monkeypatch.setattr(module, "quantize_static", other_release)
    with pytest.raises(ConversionError, match="bad has a zero point that is not int8 0"):
        quantized(small, tmp_path, small.calibration)
