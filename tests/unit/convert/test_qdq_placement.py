"""Where pairs stand, on graphs written by hand: each shows one decision."""

import numpy as np
import onnx
import pytest
from convert_support import model_of
from onnx import helper

from allnet_edge.convert.onnx_wiring import Wiring
from allnet_edge.convert.qdq_placement import Placement, observable, place
from allnet_edge.errors import ConversionError

KERNEL = np.ones((2, 2, 1, 1), np.float32)


def node(kind: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    """A node that is called after what it makes."""
    return helper.make_node(kind, inputs.split(), [output], output, **attributes)


def wiring_of(*nodes: onnx.NodeProto, head: str = "z", **weights: np.ndarray) -> Wiring:
    """A graph from ``x`` to a global pool and a dense head."""
    closing = [
        node("GlobalAveragePool", head, "mean"),
        node("Squeeze", "mean axes", "row"),
        node("MatMul", "row dense", "logits"),
        node("Sigmoid", "logits", "y"),
    ]
    constants = {
        "w": KERNEL, "v": KERNEL, "u": KERNEL, "dense": np.ones((2, 1), np.float32),
        "axes": np.array([2, 3]), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), **weights,
    }  # fmt: skip
    model = model_of([*nodes, *closing], {"x": [1, 2, 4, 4]}, {"y": [1, 1]}, constants)
    return Wiring(model.graph)


def read(wiring: Wiring, placement: Placement) -> set[str]:
    """``node<tensor`` for every input that reads a pair."""
    return {f"{wiring.nodes[at].name}<{wiring.nodes[at].input[n]}" for at, n in placement.edges}


def test_the_head_and_what_only_feeds_it_stay_float():
    wiring = wiring_of(node("Conv", "x w", "a"), node("Relu", "a", "z"))
    placement = place(wiring)
    assert read(wiring, placement) == {"a<x"}
    assert placement.kernels == (0,)


def test_before_a_second_dense_layer_the_pool_is_int8():
    wiring = wiring_of(
        node("Conv", "x w", "a"),
        node("GlobalAveragePool", "a", "m"),
        node("Conv", "m v", "z"),
    )
    assert read(wiring, place(wiring)) == {"a<x", "m<a", "z<m"}


def test_of_a_residual_sum_the_convolution_that_nobody_else_reads_has_no_pair():
    wiring = wiring_of(
        node("Conv", "x w", "a"), node("Relu", "a", "b"),
        node("Conv", "b v", "c"), node("Add", "c b", "z"),
    )  # fmt: skip
    assert read(wiring, place(wiring)) == {"a<x", "c<b", "z<b"}


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_convolutions_the_deeper_one(swapped):
    wiring = wiring_of(
        node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Conv", "b v", "deep"),
        node("Conv", "x u", "shortcut"),
        node("Add", "shortcut deep" if swapped else "deep shortcut", "z"),
    )  # fmt: skip
    found = read(wiring, place(wiring))
    assert "z<shortcut" in found
    assert "z<deep" not in found


def test_a_convolution_that_somebody_else_reads_gets_a_pair():
    """As in MobileNetV2, where a linear bottleneck is both added and expanded again."""
    wiring = wiring_of(
        node("Conv", "x w", "a"), node("Conv", "a v", "b"), node("Conv", "b u", "c"),
        node("Add", "b c", "z"),
    )  # fmt: skip
    assert read(wiring, place(wiring)) == {"a<x", "b<a", "c<b", "z<b"}


def test_where_no_branch_is_a_convolution_both_get_one():
    wiring = wiring_of(
        node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Sigmoid", "a", "s"),
        node("Add", "b s", "z"),
    )  # fmt: skip
    assert {"z<b", "z<s"} <= read(wiring, place(wiring))


def test_of_squeeze_and_excitation_map_gate_and_both_small_layers_are_int8():
    wiring = wiring_of(
        node("Conv", "x w", "a"), node("GlobalAveragePool", "a", "m"), node("Conv", "m v", "b"),
        node("Relu", "b", "c"), node("Conv", "c u", "d"), node("Sigmoid", "d", "s"),
        node("Mul", "a s", "z"),
    )  # fmt: skip
    assert read(wiring, place(wiring)) == {"a<x", "m<a", "b<m", "d<c", "z<a", "z<s"}


def test_branches_pools_and_reshapes_share_a_scale_and_an_average_does_not():
    wiring = wiring_of(
        node("Conv", "x w", "a"), node("Relu", "a", "b"),
        node("MaxPool", "b", "p", kernel_shape=[2, 2]),
        node("AveragePool", "b", "q", kernel_shape=[2, 2]),
        node("Concat", "p q", "c", axis=1),
        node("Reshape", "c shape", "d"),
        node("Conv", "d v", "z"),
        shape=np.array([1, 2, 3, 6]),
    )  # fmt: skip
    groups = place(wiring).groups
    assert groups["b"] == groups["p"] == groups["q"] == groups["d"]
    assert set(groups["b"]) == {"b", "p", "q", "d"}
    assert groups["x"] == ("x",)


def test_a_pad_with_zeros_is_int8_and_shares_the_scale():
    wiring = wiring_of(
        node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Pad", "b pads", "p"),
        node("MaxPool", "p", "q", kernel_shape=[3, 3]), node("Conv", "q v", "z"),
    )  # fmt: skip
    placement = place(wiring)
    assert read(wiring, placement) == {"a<x", "p<b", "q<p", "z<q"}
    assert set(placement.groups["b"]) == {"b", "p", "q"}


def test_a_pad_with_ones_is_not():
    wiring = wiring_of(
        node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Pad", "b pads one", "p"),
        node("MaxPool", "p", "q", kernel_shape=[3, 3]), node("Conv", "q v", "z"),
        one=np.array(1.0, np.float32),
    )  # fmt: skip
    placement = place(wiring)
    assert "p<b" not in read(wiring, placement)
    assert set(placement.groups["p"]) == {"p", "q"}


def test_to_add_a_constant_is_no_residual_sum():
    wiring = wiring_of(
        node("Add", "x offset", "a"), node("Conv", "a w", "z"), offset=np.ones(1, np.float32)
    )
    assert read(wiring, place(wiring)) == {"z<a"}


class TestKeepFloat:
    NODES = (
        node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Conv", "b v", "c"),
        node("Add", "c b", "d"), node("Conv", "d u", "z"),
    )  # fmt: skip

    def test_its_inputs_have_no_pair_and_its_weights_none(self):
        wiring = wiring_of(*self.NODES)
        placement = place(wiring, ["c"])
        assert read(wiring, placement) == {"a<x", "d<b", "z<d"}
        assert placement.kernels == (0, 4)

    def test_a_sum_can_be_kept_too(self):
        wiring = wiring_of(*self.NODES)
        assert read(wiring, place(wiring, ["d"])) == {"a<x", "c<b", "z<d"}

    def test_every_pair_of_any_choice_is_observed(self):
        wiring = wiring_of(*self.NODES)
        seen = observable(wiring)
        names = [one.name for one in wiring.nodes]
        for kept in ([], *([name] for name in names), names[:2], names[2:4]):
            assert set(place(wiring, kept).groups) <= set(seen)
        assert seen == {"x": True, "b": True, "c": False, "d": True}


def test_a_graph_without_weights_is_refused():
    model = model_of([node("Relu", "x", "y")], {"x": [1, 4]}, {"y": [1, 4]}, {})
    with pytest.raises(ConversionError, match="no Conv, MatMul or Gemm"):
        place(Wiring(model.graph))
