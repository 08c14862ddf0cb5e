"""ONNX int8 with explicit Q/DQ: symmetric, per channel, and placed so that layers still fuse."""

import numpy as np
import onnx
import pytest
from convert_support import answers, constants, maker, observed, of_type, ranges_of, users

from allnet_edge.convert.estimators import estimate_all
from allnet_edge.convert.onnx_cleanup import shapes
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.ranges import Range
from allnet_edge.errors import ConversionError

pytestmark = pytest.mark.xdist_group("convert")
Q, DQ = "QuantizeLinear", "DequantizeLinear"


@pytest.fixture(scope="module", params=["small", "allnet"])
def pair(request):
    """The float files, and the quantized graph."""
    source = request.getfixturevalue(request.param)
    path = source.folder / "int8.onnx"
    qdq_from_onnx(source.onnx, path, ranges_of(source))
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


def quantized(
    small, tmp_path, images: np.ndarray | None = None, name: str = "q.onnx", **options: object
) -> bytes:
    qdq_from_onnx(small.onnx, tmp_path / name, ranges_of(small, images), **options)
    return (tmp_path / name).read_bytes()


def test_the_order_of_the_images_does_not_matter(small, tmp_path):
    forward = quantized(small, tmp_path)
    assert quantized(small, tmp_path, small.calibration[::-1], "again.onnx") == forward


def test_the_answers_are_near(small, tmp_path):
    quantized(small, tmp_path)
    found = answers(tmp_path / "q.onnx", small.calibration)
    np.testing.assert_allclose(found, small.expected(small.calibration), atol=0.08)


def test_every_image_counts(small, tmp_path):
    without = quantized(small, tmp_path)
    brighter = np.concatenate([small.calibration, np.full((1, 32, 32, 3), 255, np.uint8)])
    assert quantized(small, tmp_path, brighter, "more.onnx") != without


def test_named_nodes_stay_float(small, tmp_path):
    names = [node.name for node in of_type(small.graph(), "Conv")]
    quantized(small, tmp_path, keep_float=[names[2]])
    graph = small.graph(tmp_path / "q.onnx")
    kept = next(node for node in graph.node if node.name == names[2])
    assert kept.input[1] in constants(graph)
    assert maker(graph, kept.input[0]).op_type != DQ
    others = [node for node in of_type(graph, "Conv") if node.name != names[2]]
    assert all(maker(graph, node.input[1]).op_type == DQ for node in others)


def test_a_misspelt_name_is_refused_with_the_nearest(small, tmp_path):
    name = of_type(small.graph(), "Conv")[2].name
    with pytest.raises(ConversionError, match="no node") as caught:
        quantized(small, tmp_path, keep_float=[name[:-1]])
    assert name in caught.value.fix
    assert not (tmp_path / "q.onnx").exists()


def test_with_everything_in_float_nothing_changes(small, tmp_path):
    quantized(small, tmp_path, keep_float=[node.name for node in small.graph().node])
    assert not of_type(small.graph(tmp_path / "q.onnx"), Q, DQ)
    np.testing.assert_array_equal(
        answers(tmp_path / "q.onnx", small.calibration), answers(small.onnx, small.calibration)
    )


def test_a_tensor_without_a_range_is_named(small, tmp_path):
    with pytest.raises(ConversionError, match=r"no range for '.*Transpose:0'"):
        qdq_from_onnx(small.onnx, tmp_path / "q.onnx", {})
    assert not (tmp_path / "q.onnx").exists()


def test_a_range_that_is_not_finite_is_refused(small, tmp_path):
    ranges = dict.fromkeys(ranges_of(small), Range(0.0, float("nan")))
    with pytest.raises(ConversionError, match="not finite"):
        qdq_from_onnx(small.onnx, tmp_path / "q.onnx", ranges)


def test_a_learned_range_is_the_scale(small, tmp_path):
    """Ranges that come from elsewhere, such as from training with quantization."""
    ranges = ranges_of(small)
    stem = next(name for name in ranges if "stem_conv" in name and "Transpose" in name)
    qdq_from_onnx(small.onnx, tmp_path / "q.onnx", {**ranges, stem: Range(-3.0, 12.7)})
    values = constants(small.graph(tmp_path / "q.onnx"))
    np.testing.assert_allclose(values[f"{stem}/scale"], 0.1)


def test_one_pair_serves_all_who_read_a_tensor(small, tmp_path):
    quantized(small, tmp_path)
    graph = small.graph(tmp_path / "q.onnx")
    read = [node.input[0] for node in of_type(graph, Q)]
    assert len(read) == len(set(read))


class TestBiasCorrection:
    @pytest.fixture
    def corrected(self, small, tmp_path):
        seen = observed(small)
        ranges = estimate_all(seen, "min-max", symmetric=True)
        path = tmp_path / "corrected.onnx"
        qdq_from_onnx(small.onnx, path, ranges, channel_means=seen.channel_means())
        return path

    def test_every_int8_layer_has_a_float_bias_and_the_head_is_left_alone(self, small, corrected):
        graph = small.graph(corrected)
        values = constants(graph)
        *inner, head = of_type(graph, "Conv", "MatMul", "Gemm")
        assert all(values[node.input[2]].dtype == np.float32 for node in inner)
        before = next(node for node in small.graph().node if node.name == head.name)
        assert head == before
        onnx.checker.check_model(onnx.load(corrected), full_check=True)

    def test_what_a_layer_makes_of_the_mean_image_is_right_on_average(self, small, corrected):
        """The first convolution, by hand: its rounded weights, its shift, its bias."""
        graph, before = small.graph(corrected), small.graph()
        new, old = constants(graph), constants(before)
        conv, float_conv = of_type(graph, "Conv")[0], of_type(before, "Conv")[0]
        kernel = old[float_conv.input[1]]
        scale = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / 127
        rounded = np.rint(kernel / scale) * scale
        means = observed(small).channel_means()[float_conv.input[0]]
        # "same" padding of stride 2 on 32 pixels hangs over the far side only: of 16 positions
        # the last one of the last tap.
        inside = np.array([1, 1, 15 / 16])
        shift = np.einsum(
            "ocij,c,i,j->o", (rounded - kernel).astype(np.float64), means, inside, inside
        )
        expected = old[float_conv.input[2]] - shift
        np.testing.assert_allclose(new[conv.input[2]], expected, atol=1e-6)
        assert np.abs(shift).max() > 1e-5

    def test_a_layer_that_was_not_observed_is_named(self, small, tmp_path):
        with pytest.raises(ConversionError, match=r"no channel means of '.*Transpose:0'"):
            qdq_from_onnx(small.onnx, tmp_path / "q.onnx", ranges_of(small), channel_means={})
