"""Which operators become one kernel."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from roofline_graphs import QDQ, conv, model_of, node, quantized, weight

from allnet_edge.roofline.fuse import fuse
from allnet_edge.roofline.graph import read_graph

X = {"x": (1, 8, 16, 16)}
SAME = {"pads": [1, 1, 1, 1]}
W = {"w": weight(8, 8, 3, 3), "w1": weight(8, 8, 1, 1), "c": weight(8, 1, 1)}


def kernels(nodes, outputs=("y",), inputs=X, constants=W, joins_gates=True):
    return fuse(read_graph(model_of(nodes, inputs, outputs, constants)), joins_gates=joins_gates)


def groups(*args, **kwargs):
    return [one.operators for one in kernels(*args, **kwargs)]


def test_a_convolution_takes_its_scale_and_activation():
    nodes = [
        conv("x", "w", "a", **SAME),
        node("Mul", ["a", "c"], "b"),
        node("Add", ["b", "c"], "d"),
        node("Relu", ["d"], "y"),
    ]
    assert groups(nodes) == [["a", "b", "d", "y"]]


def test_nothing_joins_behind_an_activation():
    nodes = [
        conv("x", "w", "a", **SAME),
        node("Relu", ["a"], "b"),
        node("Mul", ["b", "c"], "y"),
    ]
    assert groups(nodes) == [["a", "b"], ["y"]]


def test_a_residual_sum_joins_the_later_convolution():
    nodes = [
        conv("x", "w1", "short"),
        conv("x", "w", "long", **SAME),
        node("Add", ["short", "long"], "sum"),
        node("Relu", ["sum"], "y"),
    ]
    found = kernels(nodes)
    assert [one.operators for one in found] == [["short"], ["long", "sum", "y"]]
    assert found[1].reads == ["x", "short"]


def test_a_kernel_that_waits_for_a_later_tensor_runs_after_it():
    nodes = [
        conv("x", "w1", "early"),
        node("MaxPool", ["x"], "pool", kernel_shape=[3, 3], **SAME),
        node("Add", ["early", "pool"], "y"),
    ]
    assert groups(nodes) == [["pool"], ["early", "y"]]


def test_only_one_sum_joins():
    nodes = [
        conv("x", "w", "a", **SAME),
        node("Add", ["a", "x"], "b"),
        node("Add", ["b", "z"], "y"),
    ]
    inputs = {**X, "z": (1, 8, 16, 16)}
    assert groups(nodes, inputs=inputs) == [["a", "b"], ["y"]]


def test_a_tensor_that_somebody_else_reads_is_written():
    nodes = [conv("x", "w", "a", **SAME), node("Relu", ["a"], "y")]
    assert groups(nodes, outputs=("y", "a")) == [["a"], ["y"]]
    nodes.append(conv("a", "w1", "z"))
    assert groups(nodes, outputs=("y", "z")) == [["a"], ["y"], ["z"]]


def test_pointwise_operators_become_one_kernel():
    nodes = [node("Exp", ["x"], "a"), node("Neg", ["a"], "b"), node("Mul", ["b", "c"], "y")]
    assert groups(nodes) == [["a", "b", "y"]]


def test_a_scale_a_channel_joins_but_what_is_stretched_by_another_map_does_not():
    nodes = [
        node("GlobalAveragePool", ["x"], "mean"),
        conv("mean", "w1", "fc"),
        node("Sigmoid", ["fc"], "gate"),
        node("Mul", ["x", "gate"], "y"),
    ]
    assert groups(nodes) == [["mean"], ["fc", "gate"], ["y"]]


@pytest.mark.parametrize("joins", [True, False])
def test_silu_joins_its_convolution_where_that_is_asked_for(joins):
    nodes = [
        conv("x", "w", "a", **SAME),
        node("Sigmoid", ["a"], "gate"),
        node("Mul", ["a", "gate"], "y"),
    ]
    expected = [["a", "y"]] if joins else [["a"], ["y"]]
    assert groups(nodes, joins_gates=joins) == expected


def test_a_sum_behind_silu_is_a_kernel_with_or_without_it():
    nodes = [
        conv("x", "w", "a", **SAME),
        node("Sigmoid", ["a"], "gate"),
        node("Mul", ["gate", "a"], "act"),
        node("Add", ["x", "act"], "y"),
    ]
    assert groups(nodes, joins_gates=True) == [["a", "act"], ["y"]]
    assert groups(nodes, joins_gates=False) == [["a"], ["act", "y"]]


WIDER = {**W, "w16": weight(8, 16, 1, 1), "w24": weight(8, 24, 1, 1)}


class TestConcatenations:
    def nodes(self):
        return [
            conv("x", "w1", "a"),
            conv("x", "w", "b", **SAME),
            node("Concat", ["a", "b"], "both", axis=1),
        ]

    def test_written_in_place_it_costs_nothing(self):
        nodes = [*self.nodes(), conv("both", "w16", "y")]
        assert groups(nodes, constants=WIDER) == [["a"], ["b"], ["y"]]

    def test_a_second_one_copies(self):
        """DenseNet: every map lies in every later concatenation."""
        nodes = [
            *self.nodes(),
            conv("both", "w16", "c1"),
            node("Concat", ["a", "b", "c1"], "all", axis=1),
            conv("all", "w24", "y"),
        ]
        found = kernels(nodes, constants=WIDER)
        assert [one.kind for one in found] == ["conv", "conv", "conv", "copy", "copy", "conv"]
        assert [one.reads for one in found[3:5]] == [["a"], ["b"]]

    def test_an_input_of_the_network_is_copied(self):
        nodes = [conv("x", "w1", "a"), node("Concat", ["a", "x"], "y", axis=1)]
        assert [one.kind for one in kernels(nodes)] == ["conv", "copy"]

    def test_no_part_of_it_takes_up_what_follows(self):
        nodes = [*self.nodes(), node("Relu", ["both"], "y")]
        assert groups(nodes) == [["a"], ["b"], ["y"]]


def test_reshapes_and_small_transpositions_are_free_and_moving_ones_copy():
    nodes = [
        node("Transpose", ["x"], "a", perm=[0, 2, 3, 1]),
        node("GlobalAveragePool", ["x"], "m"),
        node("Transpose", ["m"], "b", perm=[0, 2, 3, 1]),
        node("Flatten", ["b"], "f"),
        node("Gemm", ["f", "g"], "y"),
    ]
    found = kernels(nodes, outputs=("a", "y"), constants={"g": weight(8, 4)})
    assert [one.kind for one in found] == ["copy", "pool", "matmul"]
    assert found[2].reads == ["m"]


def test_each_part_of_a_split_is_copied():
    split = helper.make_node("Split", ["x", "sizes"], ["p", "q"], name="split", axis=1)
    nodes = [split, node("Add", ["p", "q"], "y")]
    found = kernels(nodes, constants={"sizes": np.array([4, 4])})
    assert [one.kind for one in found] == ["copy", "copy", "pointwise"]


def test_q_and_dq_do_not_stand_between():
    nodes = [
        *quantized("x", "xi"),
        *quantized("w", "wi"),
        conv("xi", "wi", "a", **SAME),
        *quantized("a", "ai"),
        node("Relu", ["ai"], "y"),
    ]
    found = kernels(nodes, constants={**W, **QDQ})
    assert [one.operators for one in found] == [["a", "y"]]
    assert found[0].from_int8
    assert found[0].weight_elements == 8 * 8 * 9


def test_depthwise_is_told_apart():
    for groups_of, kind in ((8, "depthwise"), (2, "conv")):
        nodes = [conv("x", "w", "y", group=groups_of)]
        (found,) = kernels(nodes, constants={"w": weight(8, 8 // groups_of, 3, 3)})
        assert found.kind == kind


def test_a_float16_graph_is_read():
    model = model_of([node("Relu", ["x"], "y")], X, ["y"], {}, TensorProto.FLOAT16)
    assert read_graph(model).element_bytes["y"] == 2
