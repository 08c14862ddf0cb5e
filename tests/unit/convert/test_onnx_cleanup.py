"""Each pass on a graph written by hand: what it removes, what it leaves, and that answers stay."""

import numpy as np
import onnx
import pytest
from convert_support import constants, model_of, of_type, run
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from allnet_edge.convert.onnx_cleanup import clean, count_transposes, shapes

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def shape_of(*sides: int) -> np.ndarray:
    return np.array(sides, np.int64)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def same_answers(before: onnx.ModelProto, after: onnx.ModelProto, x: np.ndarray) -> None:
    for old, new in zip(run(before, x=x), run(after, x=x), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5)


class TestIdentityReshape:
    def test_it_goes(self):
        model = model_of(
            [
                helper.make_node("Relu", ["x"], ["a"]),
                helper.make_node("Reshape", ["a", "same"], ["b"]),
                helper.make_node("Neg", ["b"], ["y"]),
            ],
            {"x": [1, 8, 1, 1]}, {"y": [1, 8, 1, 1]}, {"same": shape_of(1, 8, 1, 1)},
        )  # fmt: skip
        cleaned = clean(model)
        assert kinds(cleaned) == ["Relu", "Neg"]
        assert not constants(cleaned.graph), "its shape is of no use any more"
        same_answers(model, cleaned, floats(1, 8, 1, 1))

    def test_one_that_changes_the_shape_stays(self):
        model = model_of(
            [
                helper.make_node("Reshape", ["x", "flat"], ["a"]),
                helper.make_node("Neg", ["a"], ["y"]),
            ],
            {"x": [1, 8, 1, 1]}, {"y": [1, 8]}, {"flat": shape_of(1, 8)},
        )  # fmt: skip
        assert kinds(clean(model)) == ["Reshape", "Neg"]

    def test_one_that_makes_the_output_stays(self):
        model = model_of(
            [helper.make_node("Reshape", ["x", "same"], ["y"])],
            {"x": [1, 8]}, {"y": [1, 8]}, {"same": shape_of(1, 8)},
        )  # fmt: skip
        assert kinds(clean(model)) == ["Reshape"]

    def test_where_a_side_is_unknown_equal_zeros_prove_nothing(self):
        model = model_of(
            [
                helper.make_node("Reshape", ["x", "turned"], ["a"]),
                helper.make_node("Neg", ["a"], ["y"]),
            ],
            {"x": ["n", "m"]}, {"y": ["m", "n"]}, {"turned": shape_of(-1, 2)},
        )  # fmt: skip
        assert "x" not in shapes(model.graph)
        assert kinds(clean(model)) == ["Reshape", "Neg"]

    def test_every_user_is_connected_anew(self):
        model = model_of(
            [
                helper.make_node("Relu", ["x"], ["a"]),
                helper.make_node("Reshape", ["a", "same"], ["b"]),
                helper.make_node("Neg", ["b"], ["c"]),
                helper.make_node("Add", ["b", "c"], ["d"]),
                helper.make_node("Mul", ["d", "b"], ["y"]),
            ],
            {"x": [1, 8]}, {"y": [1, 8]}, {"same": shape_of(1, 8)},
        )  # fmt: skip
        cleaned = clean(model)
        assert kinds(cleaned) == ["Relu", "Neg", "Add", "Mul"]
        same_answers(model, cleaned, floats(1, 8))


def flattened(
    *,
    perm: tuple[int, ...] = (0, 2, 3, 1),
    bias: bool = False,
    extra: list[onnx.NodeProto] | None = None,
) -> onnx.ModelProto:
    """NCHW map [1, 3, 2, 4] -> NHWC -> flat -> dense, as Flatten is exported."""
    dense = helper.make_node("MatMul", ["f", "w"], ["d"])
    if bias:
        dense = helper.make_node("Gemm", ["f", "w", "b"], ["d"], transA=0, transB=0)
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=perm),
        helper.make_node("Reshape", ["t", "flat"], ["f"]),
        dense,
        helper.make_node("Neg", ["d"], ["y"]),
        *(extra or []),
    ]
    outputs = {"y": [1, 5], **({"z": [1, 5]} if extra else {})}
    weights = {"flat": shape_of(1, 24), "w": floats(24, 5), "b": floats(5)}
    return model_of(nodes, {"x": [1, 3, 2, 4]}, outputs, weights)


class TestFlattenTranspose:
    @pytest.mark.parametrize("bias", [True, False], ids=["Gemm", "MatMul"])
    def test_the_rows_of_the_weights_are_permuted_instead(self, bias):
        model = flattened(bias=bias)
        before = constants(model.graph)["w"]
        cleaned = clean(model)
        assert kinds(cleaned) == ["Reshape", "Gemm" if bias else "MatMul", "Neg"]
        same_answers(model, cleaned, floats(1, 3, 2, 4))
        after = next(a for a in constants(cleaned.graph).values() if a.shape == (24, 5))
        # Row of channel c at (h, w): h, w, c before, c, h, w after.
        for c, h, w in ((0, 0, 0), (1, 0, 3), (2, 1, 2)):
            np.testing.assert_array_equal(after[c * 8 + h * 4 + w], before[(h * 4 + w) * 3 + c])

    def test_weights_that_are_read_by_columns_are_left_alone(self):
        model = flattened(bias=True)
        dense = model.graph.node[2]
        del dense.attribute[:]
        dense.attribute.append(helper.make_attribute("transB", 1))
        (old,) = (t for t in model.graph.initializer if t.name == "w")
        turned = np.ascontiguousarray(onnx.numpy_helper.to_array(old).T)
        old.CopyFrom(onnx.numpy_helper.from_array(turned, "w"))
        cleaned = clean(model)
        assert count_transposes(cleaned) == 1
        same_answers(model, cleaned, floats(1, 3, 2, 4))

    def test_another_permutation_stays(self):
        model = flattened(perm=(0, 3, 2, 1))
        assert count_transposes(clean(model)) == 1

    def test_one_that_is_read_elsewhere_stays(self):
        model = flattened(
            extra=[
                helper.make_node("Reshape", ["t", "flat"], ["f2"]),
                helper.make_node("MatMul", ["f2", "w"], ["z"]),
            ]
        )
        cleaned = clean(model)
        assert count_transposes(cleaned) == 1
        same_answers(model, cleaned, floats(1, 3, 2, 4))

    def test_weights_that_another_layer_shares_are_left_alone(self):
        model = flattened(
            extra=[
                helper.make_node("Reshape", ["x", "flat"], ["g"]),
                helper.make_node("MatMul", ["g", "w"], ["z"]),
            ]
        )
        cleaned = clean(model)
        assert count_transposes(cleaned) == 1
        same_answers(model, cleaned, floats(1, 3, 2, 4))

    def test_weights_that_are_no_constant_are_left_alone(self):
        model = model_of(
            [
                helper.make_node("Transpose", ["x"], ["t"], perm=(0, 2, 3, 1)),
                helper.make_node("Reshape", ["t", "flat"], ["f"]),
                helper.make_node("Neg", ["v"], ["w"]),
                helper.make_node("MatMul", ["f", "w"], ["y"]),
            ],
            {"x": [1, 3, 2, 4], "v": [24, 5]}, {"y": [1, 5]}, {"flat": shape_of(1, 24)},
        )  # fmt: skip
        assert count_transposes(clean(model)) == 1

    def test_a_transposed_map_that_is_an_output_stays(self):
        model = flattened()
        model.graph.output.append(
            helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, [1, 2, 4, 3])
        )
        cleaned = clean(model)
        assert count_transposes(cleaned) == 1
        same_answers(model, cleaned, floats(1, 3, 2, 4))


def norm(channels: int) -> dict[str, np.ndarray]:
    return {
        "gamma": floats(channels),
        "beta": floats(channels),
        "mean": floats(channels),
        "variance": np.abs(floats(channels)) + 0.1,
    }


def normed(
    *, bias: bool = True, epsilon: float = 1e-3, extra: list[onnx.NodeProto] | None = None
) -> onnx.ModelProto:
    """Conv -> BatchNormalization -> Relu; ``extra`` makes a second output ``z``."""
    weights = {"w": floats(4, 3, 3, 3), **norm(4)}
    if bias:
        weights["b"] = floats(4)
    nodes = [
        helper.make_node("Conv", ["x", "w", *(["b"] if bias else [])], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node(
            "BatchNormalization", ["c", "gamma", "beta", "mean", "variance"], ["n"],
            epsilon=epsilon,
        ),
        helper.make_node("Relu", ["n"], ["y"]),
        *(extra or []),
    ]  # fmt: skip
    outputs = {"y": [1, 4, 6, 6], **({"z": [1, 4, 6, 6]} if extra else {})}
    return model_of(nodes, {"x": [1, 3, 6, 6]}, outputs, weights)


class TestBatchNorm:
    @pytest.mark.parametrize("bias", [True, False], ids=["with bias", "without bias"])
    @pytest.mark.parametrize("epsilon", [1e-3, 1.001e-5])
    def test_it_is_folded_into_the_convolution(self, bias, epsilon):
        model = normed(bias=bias, epsilon=epsilon)
        cleaned = clean(model)
        assert kinds(cleaned) == ["Conv", "Relu"]
        assert {a.shape for a in constants(cleaned.graph).values()} == {(4, 3, 3, 3), (4,)}
        same_answers(model, cleaned, floats(1, 3, 6, 6))

    def test_where_another_reads_the_convolution_it_stays(self):
        model = normed(extra=[helper.make_node("Neg", ["c"], ["z"])])
        cleaned = clean(model)
        assert kinds(cleaned) == ["Conv", "BatchNormalization", "Relu", "Neg"]
        same_answers(model, cleaned, floats(1, 3, 6, 6))

    def test_where_the_convolution_is_an_output_it_stays(self):
        model = normed()
        model.graph.output.append(
            helper.make_tensor_value_info("c", onnx.TensorProto.FLOAT, [1, 4, 6, 6])
        )
        cleaned = clean(model)
        assert "BatchNormalization" in kinds(cleaned)
        same_answers(model, cleaned, floats(1, 3, 6, 6))

    def test_a_kernel_that_another_convolution_shares_keeps_its_values_there(self):
        """tf2onnx keeps one of equal constants, such as kernels that are all zero."""
        model = normed(extra=[helper.make_node("Conv", ["x", "w", "b"], ["z"], pads=[1, 1, 1, 1])])
        cleaned = clean(model)
        assert kinds(cleaned) == ["Conv", "Relu", "Conv"]
        same_answers(model, cleaned, floats(1, 3, 6, 6))

    def test_one_that_follows_no_convolution_stays(self):
        model = model_of(
            [
                helper.make_node(
                    "BatchNormalization", ["x", "gamma", "beta", "mean", "variance"], ["n"]
                ),
                helper.make_node("Relu", ["n"], ["y"]),
            ],
            {"x": [1, 4, 6, 6]}, {"y": [1, 4, 6, 6]}, norm(4),
        )  # fmt: skip
        assert kinds(clean(model)) == ["BatchNormalization", "Relu"]

    @settings(max_examples=20, deadline=None)
    @given(
        gamma=st.floats(-3, 3, width=32),
        mean=st.floats(-5, 5, width=32),
        variance=st.floats(0, 4, width=32),
        bias=st.booleans(),
    )
    def test_answers_stay_for_any_statistics(self, gamma, mean, variance, bias):
        model = normed(bias=bias)
        for tensor in model.graph.initializer:
            values = {"gamma": gamma, "mean": mean, "variance": variance}
            if tensor.name in values:
                array = np.full(4, values[tensor.name], np.float32)
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
        x = floats(1, 3, 6, 6)
        old, new = run(model, x=x)[0], run(clean(model), x=x)[0]
        np.testing.assert_allclose(new, old, rtol=1e-3, atol=1e-4 * max(1, np.abs(old).max()))


class TestNames:
    def test_they_come_from_the_nodes_and_not_from_counters(self):
        nodes = [
            helper.make_node("Relu", ["x"], ["a__17:0"], name="net/first/Relu__17"),
            helper.make_node("Add", ["a__17:0", "const_fold__9"], ["b"], name="net/sum/add"),
            helper.make_node("Relu", ["b"], ["y"], name="net/first/Relu__99"),
        ]
        weights = {"const_fold__9": floats(1, 4), "unused__3": floats(2)}
        graph = clean(model_of(nodes, {"x": [1, 4]}, {"y": [1, 4]}, weights)).graph
        assert [node.name for node in graph.node] == [
            "net/first/Relu/Relu", "net/sum/add", "net/first/Relu/Relu_2",
        ]  # fmt: skip
        assert list(constants(graph)) == ["net/sum/add/input_1"]
        assert [list(node.input) for node in graph.node] == [
            ["x"], ["net/first/Relu/Relu:0", "net/sum/add/input_1"], ["net/sum/add:0"],
        ]  # fmt: skip
        assert [value.name for value in graph.output] == ["y"]

    def test_the_order_of_constants_is_that_of_their_use(self):
        nodes = [
            helper.make_node("Add", ["x", "p"], ["a"], name="one"),
            helper.make_node("Mul", ["a", "q"], ["b"], name="two"),
            helper.make_node("Add", ["b", "p"], ["y"], name="three"),
        ]
        values = {"p": floats(1, 4), "q": floats(1, 4)}
        first, second = (
            clean(model_of(nodes, {"x": [1, 4]}, {"y": [1, 4]}, weights))
            for weights in (values, dict(reversed(values.items())))
        )
        assert list(constants(first.graph)) == ["one/input_1", "two/input_1"]
        assert first.SerializeToString() == second.SerializeToString()

    def test_an_input_that_is_left_out_stays_left_out(self):
        nodes = [helper.make_node("Clip", ["x", "", "top"], ["y"], name="clip")]
        weights = {"top": np.array(1.0, np.float32)}
        model = model_of(nodes, {"x": [1, 4]}, {"y": [1, 4]}, weights)
        cleaned = clean(model)
        assert list(cleaned.graph.node[0].input) == ["x", "", "clip/input_2"]
        same_answers(model, cleaned, floats(1, 4))

    def test_nodes_without_a_name_get_that_of_their_kind(self):
        nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Neg", ["a"], ["y"])]
        cleaned = clean(model_of(nodes, {"x": [1, 4]}, {"y": [1, 4]}, {}))
        assert [node.name for node in cleaned.graph.node] == ["Neg", "Neg_2"]


def test_the_given_model_is_left_as_it_was():
    model = normed()
    before = model.SerializeToString()
    clean(model)
    assert model.SerializeToString() == before


def test_every_cleaned_graph_is_valid():
    for model in (normed(), normed(bias=False), flattened(), flattened(bias=True)):
        cleaned = clean(model)
        onnx.checker.check_model(cleaned, full_check=True)
        assert not of_type(cleaned.graph, "BatchNormalization", "Transpose")
