"""ONNX float16: precision in the graph, float32 where half precision could show."""

import numpy as np
import onnx
import pytest
from convert_support import answers, constants, model_of, of_type, run, users
from onnx import helper

from allnet_edge.convert.fp16_from_onnx import fp16_from_onnx
from allnet_edge.errors import ConversionError

pytestmark = pytest.mark.xdist_group("convert")


@pytest.fixture(scope="module", params=["small", "allnet"])
def pair(request):
    source = request.getfixturevalue(request.param)
    path = source.folder / "fp16.onnx"
    fp16_from_onnx(source.onnx, path)
    return source, path


def test_the_answers_are_within_5e_3(pair):
    source, path = pair
    found = answers(path, source.calibration)
    np.testing.assert_allclose(found, source.expected(source.calibration), atol=5e-3)


def test_input_and_output_keep_their_types(pair):
    source, path = pair
    before, after = onnx.load(source.onnx), onnx.load(path)
    assert list(after.graph.input) == list(before.graph.input)
    assert list(after.graph.output) == list(before.graph.output)
    assert {o.domain: o.version for o in after.opset_import}[""] == 17
    onnx.checker.check_model(after, full_check=True)


def test_every_convolution_is_half(pair):
    source, path = pair
    graph = source.graph(path)
    values = constants(graph)
    convolutions = of_type(graph, "Conv")
    assert len(convolutions) == len(of_type(source.graph(), "Conv"))
    for conv in convolutions:
        assert {values[name].dtype for name in conv.input[1:]} == {np.dtype(np.float16)}


def test_the_last_dense_layer_is_float_and_those_before_it_half(pair):
    source, path = pair
    graph = source.graph(path)
    values = constants(graph)
    *inner, last = of_type(graph, "MatMul", "Gemm")
    assert values[last.input[1]].dtype == np.float32
    assert inner
    assert all(values[node.input[1]].dtype == np.float16 for node in inner)


def test_pixels_are_standardised_in_float(pair):
    source, path = pair
    graph = source.graph(path)
    values = constants(graph)
    standardising = [n for n in of_type(graph, "Mul", "Add") if "/standardise/" in n.name]
    assert len(standardising) == 2
    for node in standardising:
        assert values[node.input[1]].dtype == np.float32
    (pixels,) = users(graph, "pixels")
    assert pixels.op_type == "Cast"
    assert next(a.i for a in pixels.attribute if a.name == "to") == onnx.TensorProto.FLOAT


def test_it_is_half_as_large(pair):
    source, path = pair
    if source.onnx.stat().st_size < 1_000_000:
        pytest.skip("weights are a small part of so small a file")
    assert path.stat().st_size < 0.56 * source.onnx.stat().st_size


def test_the_same_graph_gives_the_same_bytes(small, tmp_path):
    fp16_from_onnx(small.onnx, tmp_path / "one.onnx")
    fp16_from_onnx(small.onnx, tmp_path / "two.onnx")
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_two_casts_stand_at_the_borders_and_no_value_goes_through_half_and_back(pair):
    """A probability in float16 has steps of 2e-4 to 5e-4: ties, and another ROC curve."""
    source, path = pair
    graph = source.graph(path)
    casts = [next(a.i for a in node.attribute) for node in of_type(graph, "Cast")]
    assert casts == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT]
    (last,) = of_type(graph, "Sigmoid")
    assert list(last.output) == ["probability"]
    found = answers(path, source.calibration)
    assert (found.astype(np.float16).astype(np.float32) != found).any()


def test_a_weight_beyond_the_range_of_half_is_refused_by_name(tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Add", ["a", "far"], ["b"], name="second"),
        helper.make_node("MatMul", ["b", "w"], ["y"], name="last"),
    ]
    weights = {"far": np.full(4, 70_000, np.float32), "w": np.full((4, 1), 1e6, np.float32)}
    onnx.save(model_of(nodes, {"x": [1, 4]}, {"y": [1, 1]}, weights), tmp_path / "float.onnx")
    with pytest.raises(ConversionError, match=r"'far' has a weight of 7e\+04") as caught:
        fp16_from_onnx(tmp_path / "float.onnx", tmp_path / "half.onnx")
    assert caught.value.exit_code == 4
    assert not (tmp_path / "half.onnx").exists()


def test_weights_that_both_precisions_read_are_there_in_both(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="inner"),
        helper.make_node("MatMul", ["a", "w"], ["y"], name="last"),
    ]
    weights = {"w": np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)}
    model = model_of(nodes, {"x": [1, 4]}, {"y": [1, 4]}, weights)
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["c"], name="Cast", to=1))
    model.graph.node[1].input[0] = "c"
    onnx.save(model, tmp_path / "float.onnx")
    fp16_from_onnx(tmp_path / "float.onnx", tmp_path / "half.onnx")
    half = onnx.load(tmp_path / "half.onnx")
    assert {a.dtype for a in constants(half.graph).values()} == {np.dtype("f2"), np.dtype("f4")}
    x = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(run(half, x=x)[0], run(model, x=x)[0], atol=2e-2)


def test_a_graph_that_does_not_check_is_refused(tmp_path):
    nodes = [
        helper.make_node("Blast", ["x"], ["a"], name="strange"),
        helper.make_node("MatMul", ["a", "w"], ["y"], name="last"),
    ]
    weights = {"w": np.ones((4, 1), np.float32)}
    onnx.save(model_of(nodes, {"x": [1, 4]}, {"y": [1, 1]}, weights), tmp_path / "float.onnx")
    with pytest.raises(ConversionError, match="Blast") as caught:
        fp16_from_onnx(tmp_path / "float.onnx", tmp_path / "half.onnx")
    assert caught.value.where == str(tmp_path / "float.onnx")
