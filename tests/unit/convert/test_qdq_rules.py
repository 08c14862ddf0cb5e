"""Every rule for Q/DQ catches a graph that breaks it, and says which node."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from convert_support import maker, model_of, of_type, ranges_of
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.qdq_rules import violations

pytestmark = pytest.mark.xdist_group("convert")
Q, DQ = "QuantizeLinear", "DequantizeLinear"


@pytest.fixture(scope="module")
def ours(small, tmp_path_factory) -> Callable[[], onnx.ModelProto]:
    """A fresh copy of a graph without a violation."""
    path = tmp_path_factory.mktemp("rules") / "q.onnx"
    qdq_from_onnx(small.onnx, path, ranges_of(small))
    assert violations(onnx.load(path)) == ()
    return lambda: onnx.load(path)


def rules(model: onnx.ModelProto, **options: object) -> Counter[str]:
    return Counter(one.rule for one in violations(model, **options))


def constant(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def replace(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    constant(model, name).CopyFrom(numpy_helper.from_array(value, name))


def without_pair(model: onnx.ModelProto, node: onnx.NodeProto, position: int) -> None:
    """Let one input of a node read what its pair reads."""
    dequantize = maker(model.graph, node.input[position])
    node.input[position] = maker(model.graph, dequantize.input[0]).input[0]


def insert_pair(model: onnx.ModelProto, value: str, reader: onnx.NodeProto) -> None:
    scale, zero = "extra/scale", "extra/zero"
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(0.1, np.float32), scale),
            numpy_helper.from_array(np.array(0, np.int8), zero),
        ]
    )
    at = list(model.graph.node).index(reader)
    position = list(reader.input).index(value)
    model.graph.node.insert(at, helper.make_node(Q, [value, scale, zero], ["extra/q"], "extra/Q"))
    model.graph.node.insert(
        at + 1, helper.make_node(DQ, ["extra/q", scale, zero], ["extra/d"], "extra/DQ")
    )
    model.graph.node[at + 2].input[position] = "extra/d"


class TestOneBrokenRule:
    def test_a_zero_point(self, ours):
        model = ours()
        replace(model, "int8/zero", np.array(-128, np.int8))
        found = violations(model)
        assert {one.rule for one in found} == {"zero-point"}
        assert "-128" in found[0].what
        assert found[0].node

    def test_a_type(self, ours):
        model = ours()
        replace(model, "int8/zero", np.array(0, np.uint8))
        assert set(rules(model)) == {"type"}

    def test_a_zero_point_that_is_not_there_means_uint8(self, ours):
        model = ours()
        node = of_type(model.graph, Q)[0]
        node.input.pop()
        assert rules(model) == {"type": 1}

    def test_data_without_a_pair(self, ours):
        model = ours()
        conv = next(n for n in of_type(model.graph, "Conv") if "block_2" in n.name)
        without_pair(model, conv, 0)
        assert rules(model) == {"data": 1}
        assert violations(model)[0].node == conv.name
        assert rules(model, keep_float=[conv.name]) == {}

    def test_weights_without_a_pair(self, ours):
        model = ours()
        without_pair(model, of_type(model.graph, "Conv")[2], 1)
        assert rules(model) == {"weights": 1}

    def test_one_scale_for_all_channels(self, ours):
        model = ours()
        conv = of_type(model.graph, "Conv")[2]
        dequantize = maker(model.graph, conv.input[1])
        replace(model, dequantize.input[1], np.array(0.1, np.float32))
        replace(model, dequantize.input[2], np.array(0, np.int8))
        assert rules(model) == {"per-channel": 1}

    def test_scales_along_the_wrong_axis(self, ours):
        model = ours()
        conv = next(n for n in of_type(model.graph, "Conv") if "block_2" in n.name)  # 8 x 8
        for node in (dequantize := maker(model.graph, conv.input[1]),
                     maker(model.graph, dequantize.input[0])):  # fmt: skip
            next(a for a in node.attribute if a.name == "axis").i = 1
        assert rules(model) == {"per-channel": 1}

    def test_another_weight_grid(self, ours):
        model = ours()
        dequantize = maker(model.graph, of_type(model.graph, "Conv")[2].input[1])
        scale = numpy_helper.to_array(constant(model, dequantize.input[1]))
        replace(model, dequantize.input[1], scale * np.float32(127 / 128))
        assert rules(model) == {"weight-grid": 1}

    def test_an_integer_bias(self, ours):
        model = ours()
        conv = next(n for n in of_type(model.graph, "Conv") if len(n.input) > 2)
        name = conv.input[2]
        shape = numpy_helper.to_array(constant(model, name)).shape
        replace(model, name, np.zeros(shape, np.int32))
        assert rules(model) == {"bias": 1}

    @pytest.mark.parametrize("kind", ["Conv", "Add"])
    def test_a_pair_before_a_relu(self, ours, kind):
        model = ours()
        relu = next(
            n for n in of_type(model.graph, "Relu")
            if maker(model.graph, n.input[0]).op_type == kind
        )  # fmt: skip
        insert_pair(model, relu.input[0], relu)
        assert rules(model) == {"fusion": 1}

    def test_a_residual_sum_of_two_floats(self, ours):
        model = ours()
        (add,) = [n for n in of_type(model.graph, "Add") if "block_add" in n.name]
        (position,) = [n for n in (0, 1) if maker(model.graph, add.input[n]).op_type == DQ]
        without_pair(model, add, position)
        assert set(rules(model)) == {"residual"}

    def test_a_residual_sum_whose_float_is_no_convolution_of_its_own(self, ours):
        """Its shortcut float, and a pair on the convolution: nothing can be fused."""
        model = ours()
        (add,) = [n for n in of_type(model.graph, "Add") if "block_add" in n.name]
        (position,) = [n for n in (0, 1) if maker(model.graph, add.input[n]).op_type == DQ]
        branch = add.input[1 - position]
        without_pair(model, add, position)
        insert_pair(model, branch, add)
        assert rules(model) == {"residual": 1}

    def test_a_concat_of_mixed_branches(self, ours):
        model = ours()
        without_pair(model, of_type(model.graph, "Concat")[0], 0)
        assert rules(model)["concat"] == 1

    def test_a_concat_of_two_scales(self, ours):
        model = ours()
        concat = of_type(model.graph, "Concat")[0]
        scale = maker(model.graph, concat.input[0]).input[1]
        replace(model, scale, numpy_helper.to_array(constant(model, scale)) * np.float32(1.5))
        assert set(rules(model)) == {"shared-scale"}

    def test_a_max_pool_of_floats(self, ours):
        model = ours()
        without_pair(model, of_type(model.graph, "MaxPool")[0], 0)
        assert rules(model)["pool"] == 1

    def test_a_max_pool_that_changes_the_scale(self, ours):
        model = ours()
        pool = of_type(model.graph, "MaxPool")[-1]
        scale = maker(model.graph, pool.input[0]).input[1]
        replace(model, scale, numpy_helper.to_array(constant(model, scale)) * np.float32(2))
        assert rules(model) == {"shared-scale": 1}

    def test_an_int8_head(self, ours):
        model = ours()
        head = of_type(model.graph, "MatMul", "Gemm")[-1]
        insert_pair(model, head.input[0], head)
        assert rules(model) == {"head": 1}


def test_a_batch_norm_that_was_not_folded():
    weights = {
        "w": np.ones((2, 2, 1, 1), np.float32), "v": np.ones((2, 1), np.float32),
        **{name: np.ones(2, np.float32) for name in ("scale", "bias", "mean", "variance")},
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("BatchNormalization", ["a", "scale", "bias", "mean", "variance"], ["b"],
                         "norm"),
        helper.make_node("GlobalAveragePool", ["b"], ["c"], "pool"),
        helper.make_node("Flatten", ["c"], ["d"], "flat"),
        helper.make_node("MatMul", ["d", "v"], ["y"], "head"),
    ]  # fmt: skip
    model = model_of(nodes, {"x": [1, 2, 4, 4]}, {"y": [1, 1]}, weights)
    found = [one for one in violations(model) if one.rule == "batch-norm"]
    assert [one.node for one in found] == ["norm"]
    assert "conv" in found[0].what


def test_a_product_of_maps_reads_int8_on_both_sides():
    weights = {"w": np.ones((2, 2, 1, 1), np.float32), "v": np.ones((2, 1), np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("Sigmoid", ["a"], ["s"], "gate"),
        helper.make_node("Mul", ["a", "s"], ["m"], "scale"),
        helper.make_node("GlobalAveragePool", ["m"], ["c"], "pool"),
        helper.make_node("Flatten", ["c"], ["d"], "flat"),
        helper.make_node("MatMul", ["d", "v"], ["y"], "head"),
    ]
    model = model_of(nodes, {"x": [1, 2, 4, 4]}, {"y": [1, 1]}, weights)
    assert ("residual", "scale") in {(one.rule, one.node) for one in violations(model)}


class Reader(CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {"pixels": image[None]}


class TestOtherQuantizers:
    """What onnxruntime makes of the same graph, as a user would call it."""

    def quantized(self, small, tmp_path, **options: object) -> onnx.ModelProto:
        path = tmp_path / "other.onnx"
        quantize_static(
            str(small.onnx), str(path), Reader(small.calibration[:4]),
            quant_format=QuantFormat.QDQ, **options,
        )  # fmt: skip
        return onnx.load(path)

    def test_its_defaults_break_nearly_every_rule(self, small, tmp_path):
        found = rules(self.quantized(small, tmp_path))
        assert {"zero-point", "per-channel", "bias", "head"} <= set(found)

    def test_unsigned_activations_are_seen(self, small, tmp_path):
        found = rules(self.quantized(small, tmp_path, activation_type=QuantType.QUInt8))
        assert found["type"] > 5

    def test_symmetric_and_per_channel_still_cuts_relus_off_and_quantizes_the_head(
        self, small, tmp_path
    ):
        found = rules(
            self.quantized(
                small, tmp_path, per_channel=True,
                extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
            )
        )  # fmt: skip
        assert "zero-point" not in found
        assert found["head"] > 0

    def test_a_float_graph_is_nothing_but_violations(self, small):
        found = rules(onnx.load(small.onnx))
        convolutions = len(of_type(small.graph(), "Conv"))
        assert found["data"] == found["weights"] > convolutions
        assert found["pool"] + found["concat"] + found["residual"] >= 4
