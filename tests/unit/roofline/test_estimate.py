"""The estimate of a graph, and what is refused."""

import json

import onnx
import pytest
from onnx import TensorProto, helper
from roofline_graphs import QDQ, conv, model_of, node, quantized, weight

from allnet_edge.errors import ConversionError, UnknownNameError, UsageError
from allnet_edge.roofline.constants import fitted
from allnet_edge.roofline.estimate import estimate, precision_of
from allnet_edge.roofline.graph import read_graph
from allnet_edge.roofline.networks import published_graph
from allnet_edge.spec.target import load_target

JETSON, NANO = load_target("jetson"), load_target("jetson-nano")
X = {"x": (1, 8, 16, 16)}


@pytest.fixture(scope="module")
def resnet() -> onnx.ModelProto:
    return published_graph("resnet18", 224)


@pytest.fixture
def int8_graph() -> onnx.ModelProto:
    nodes = [*quantized("x", "xi"), *quantized("w", "wi"), conv("xi", "wi", "y")]
    return model_of(nodes, X, ["y"], {"w": weight(8, 8, 3, 3), **QDQ})


def test_it_is_the_sum_of_its_kernels_and_says_that_it_is_an_estimate(resnet):
    found = estimate(resnet, JETSON, "fp16")
    assert found.label == "estimate"
    assert found.milliseconds == pytest.approx(sum(one.milliseconds for one in found.layers))
    assert len(found.layers) == 23
    assert {one.bound for one in found.layers} <= {"compute", "memory", "launch"}


def test_the_error_stands_beside_it(resnet):
    found = estimate(resnet, JETSON, "fp16")
    assert found.error == fitted().errors["classifiers"]
    assert found.error_all == fitted().errors["all"]
    sentence = found.sentence()
    assert sentence.startswith("estimate: ")
    assert f"{found.error.median:.0%}" in sentence
    assert f"n {found.error.n}" in sentence
    assert "Not measured" in sentence


def test_as_json(resnet):
    found = estimate(resnet, JETSON, "int8")
    data = json.loads(json.dumps(found.to_json()))
    assert data["label"] == "estimate"
    assert data["milliseconds"] == found.milliseconds
    assert data["error"]["median"] > 0
    assert len(data["layers"]) == len(found.layers)
    assert "every convolution" in data["assumptions"][1]


def test_narrower_arithmetic_and_a_faster_board_take_less_time(resnet):
    orin = load_target("jetson-agx-orin-64")
    fp32, fp16, int8 = (
        estimate(resnet, JETSON, one).milliseconds for one in ("fp32", "fp16", "int8")
    )
    assert fp32 > fp16 > int8
    assert estimate(resnet, NANO, "fp16").milliseconds > fp16
    assert estimate(resnet, orin, "fp16").milliseconds < fp16


def test_super_mode_is_faster_than_the_same_module_without(resnet):
    plain = load_target("jetson-orin-nano")
    ratio = (
        estimate(resnet, plain, "fp16").milliseconds / estimate(resnet, JETSON, "fp16").milliseconds
    )
    assert 102 / 68 < ratio < 1020 / 625  # between that of the memory and that of the clock


def test_a_file_is_read_and_a_model_left_as_it_was(tmp_path):
    model = model_of([conv("x", "w", "y")], X, ["y"], {"w": weight(64, 8, 5, 5)})
    before = model.SerializeToString()
    onnx.save(model, tmp_path / "model.onnx")
    from_file = estimate(tmp_path / "model.onnx", JETSON, "fp16")
    assert from_file == estimate(model, JETSON, "fp16")
    assert model.SerializeToString() == before


def test_a_batch_that_is_not_fixed_is_one():
    def taken(batch):
        inputs = {"x": (batch, 8, 16, 16)}
        model = model_of([conv("x", "w", "y")], inputs, ["y"], {"w": weight(8, 8, 3, 3)})
        return estimate(model, JETSON, "fp16").milliseconds

    assert taken("N") == taken(1)


def test_q_and_dq_are_followed(int8_graph):
    (layer,) = estimate(int8_graph, JETSON, "int8").layers
    assert layer.arithmetic == "int8"
    assert estimate(int8_graph, JETSON, "mixed").milliseconds == layer.milliseconds


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_quantized_graph_has_no_float_latency(int8_graph, precision):
    with pytest.raises(UsageError, match="is quantized"):
        estimate(int8_graph, JETSON, precision)


def test_a_float_graph_does_not_say_what_mixed_is(resnet):
    with pytest.raises(UsageError, match="which of its layers"):
        estimate(resnet, JETSON, "mixed")


@pytest.mark.parametrize(("name", "precision"), [("jetson-nano", "int8"), ("jetson-tx2", "mixed")])
def test_a_precision_that_the_target_has_not_is_refused(resnet, name, precision):
    with pytest.raises(UsageError, match="is not built for") as caught:
        estimate(resnet, load_target(name), precision)
    assert "fp16" in str(caught.value.fix)


def test_a_processor_is_refused(resnet):
    with pytest.raises(UsageError, match="no estimate for Raspberry Pi 5") as caught:
        estimate(resnet, load_target("pi"), "int8")
    assert caught.value.exit_code == 2


def test_no_onnx_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"\xff\xfe not a graph")
    with pytest.raises(ConversionError, match="not an ONNX graph"):
        estimate(tmp_path / "model.onnx", JETSON, "fp16")
    with pytest.raises(ConversionError, match="not an ONNX graph"):
        estimate(tmp_path / "absent.onnx", JETSON, "fp16")


def test_a_size_that_is_not_fixed_is_refused():
    model = model_of([node("Relu", ["x"], "y")], {"x": (1, 8, "H", "W")}, ["y"], {})
    with pytest.raises(ConversionError, match="is not fixed"):
        estimate(model, JETSON, "fp16")


def test_shapes_that_do_not_fit_are_refused():
    model = model_of([node("Add", ["x", "c"], "y")], X, ["y"], {"c": weight(9, 1, 1)})
    with pytest.raises(ConversionError, match="do not work out"):
        estimate(model, JETSON, "fp16")


def test_a_branch_is_refused():
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])],
        "inner",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, X["x"])],
    )
    both = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    model = model_of([both], X, ["y"], {})
    model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    with pytest.raises(ConversionError, match="has a If"):
        estimate(model, JETSON, "fp16")


def test_a_graph_has_a_precision_of_its_own(resnet, int8_graph):
    half = model_of(
        [conv("x", "w", "y")], X, ["y"], {"w": weight(8, 8, 3, 3).astype("float16")},
        TensorProto.FLOAT16,
    )  # fmt: skip
    assert [precision_of(read_graph(one)) for one in (resnet, half, int8_graph)] == [
        "fp32",
        "fp16",
        "int8",
    ]
    graph = read_graph(resnet)
    assert precision_of(graph, "mixed") == "mixed"
    assert estimate(graph, JETSON, "fp16") == estimate(resnet, JETSON, "fp16")
    with pytest.raises(UnknownNameError, match="unknown precision"):
        precision_of(graph, "fp61")
