"""All eight networks: float graphs that are folded, int8 graphs without a violation, engines."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import tf_keras
from convert_support import Converted, answers, constants, maker, of_type, users

from allnet_edge import models
from allnet_edge.convert.engine_from_onnx import EngineBuilder
from allnet_edge.convert.estimators import estimate_all
from allnet_edge.convert.nodes_of_layers import nodes_of_layers
from allnet_edge.convert.observe_onnx import observe_onnx
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.qdq_rules import violations
from allnet_edge.data.phantom import generate
from allnet_edge.errors import ConversionError
from allnet_edge.pipeline.stages.graph_rules import require_qdq_rules
from allnet_edge.search.groups import blocks, layers_of
from allnet_edge.spec.network import NetworkSpec, Preprocess

pytestmark = pytest.mark.xdist_group("convert")
SIZES = {"allnet": 96, "inceptionv3": 75}
DQ = "DequantizeLinear"


@pytest.fixture(scope="module", params=models.network_names())
def network(request, tmp_path_factory) -> Converted:
    """At an eighth of its width, with batch norms that have something to fold."""
    size = SIZES.get(request.param, 64)
    preprocess = Preprocess(size=size, mean=(31.5,), sd=(47.25,))
    spec = NetworkSpec(
        network=request.param, preprocess=preprocess, classes=("hem", "all"), width=0.125
    )
    tf_keras.utils.set_random_seed(7)
    model = models.build(tf_keras, spec)
    rng = np.random.default_rng(7)
    for variable in model.weights:
        kind = variable.name.rsplit("/", 1)[-1].split(":")[0]
        if kind in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.8, 1.25, variable.shape))
        elif kind in ("beta", "bias", "moving_mean"):
            variable.assign(rng.normal(0, 0.1, variable.shape))
    images = generate(6, patients=6, seed=2, size=size).images
    folder = tmp_path_factory.mktemp(request.param)
    onnx.save(onnx_from_keras(model, size), folder / "float.onnx")
    return Converted(model, images, folder / "float.onnx", folder / "absent", folder)


@pytest.fixture(scope="module")
def files(network) -> dict[str, Path]:
    seen = observe_onnx(network.onnx, network.calibration[:3])
    ranges = estimate_all(seen, "min-max", symmetric=True)
    found = {name: network.folder / f"{name}.onnx" for name in ("plain", "corrected")}
    qdq_from_onnx(network.onnx, found["plain"], ranges)
    qdq_from_onnx(network.onnx, found["corrected"], ranges, channel_means=seen.channel_means())
    return found


@pytest.fixture(scope="session")
def builder() -> EngineBuilder:
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed here")
    return EngineBuilder(trt)


def test_the_float_graph_is_folded_and_equals_keras(network):
    """What is left of batch norms are ALNett's four, which follow a pool and cannot be folded."""
    graph = network.graph()
    norms = of_type(graph, "BatchNormalization")
    before = Counter(maker(graph, norm.input[0]).op_type for norm in norms)
    assert before in (Counter(), Counter(MaxPool=4))
    assert not [v for v in violations(onnx.load(network.onnx)) if v.rule == "batch-norm"]
    found, expected = (
        answers(network.onnx, network.calibration),
        network.expected(network.calibration),
    )
    logits = [
        np.log(p) - np.log1p(-p) for p in (found.astype(np.float64), expected.astype(np.float64))
    ]
    np.testing.assert_allclose(logits[0], logits[1], atol=2e-3 * max(1.0, np.abs(logits[1]).max()))


@pytest.mark.parametrize("form", ["plain", "corrected"])
def test_int8_has_no_violation(files, form):
    model = onnx.load(files[form])
    onnx.checker.check_model(model, full_check=True)
    assert violations(model) == ()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_mixture_breaks_no_rule_but_those_of_what_joins_float_values(network, files, seed):
    """A build that makes one checks it, and must not be stopped by a mixture that is sound."""
    groups = blocks(layers_of(network.network))
    rng = np.random.default_rng(seed)
    kept = [group for group in groups if rng.random() < 0.5] or [groups[0]]
    nodes = nodes_of_layers(network.onnx)
    names = sorted(node for group in kept for layer in group.layers for node in nodes[layer.name])
    seen = observe_onnx(network.onnx, network.calibration[:3])
    ranges = estimate_all(seen, "min-max", symmetric=True)
    path = network.folder / f"kept{seed}.onnx"
    qdq_from_onnx(network.onnx, path, ranges, keep_float=names)
    assert "no violation" in require_qdq_rules(path, keep_float=names)
    with pytest.raises(ConversionError, match="Q/DQ"):
        require_qdq_rules(path)


def test_tensorrt_builds_it(builder, files):
    assert len(builder.build(files["plain"], sm=86).engine) > 1000


def test_every_layer_but_the_head_is_int8(network, files):
    graph = network.graph(files["plain"])
    *inner, head = of_type(graph, "Conv", "MatMul", "Gemm")
    assert len(inner) == len(of_type(network.graph(), "Conv", "MatMul", "Gemm")) - 1
    for node in inner:
        assert [maker(graph, value).op_type for value in node.input[:2]] == [DQ, DQ], node.name
    assert constants(graph)[head.input[1]].dtype == np.float32


def test_a_sum_leaves_one_convolution_to_be_fused(network, files):
    """As many floats as sums: the branch whose convolution nothing else reads."""
    graph = network.graph(files["plain"])
    values = constants(graph)
    sums = [n for n in of_type(graph, "Add") if not any(v in values for v in n.input)]
    for node in sums:
        floats = [v for v in node.input if maker(graph, v).op_type != DQ]
        alone = [
            v
            for v in next(n for n in network.graph().node if n.name == node.name).input
            if maker(network.graph(), v).op_type == "Conv" and len(users(network.graph(), v)) == 1
        ]
        assert len(floats) == min(1, len(alone)), node.name
        assert set(floats) <= set(alone)


def test_of_a_projection_block_the_shortcut_has_the_pair(network, files):
    graph = network.graph(files["plain"])
    found = 0
    for node in of_type(graph, "Add"):
        makers = {maker(graph, value).name for value in node.input if maker(graph, value)}
        if any("_3_conv" in name for name in makers) and any("_0_conv" in n for n in makers):
            (shortcut,) = [v for v in node.input if maker(graph, v).op_type == DQ]
            assert "_0_conv" in shortcut
            found += 1
    projected = [n for n in of_type(graph, "Conv") if "_0_conv/" in n.name]
    # In SE-ResNeXt the deep branch ends in a product, so that the shortcut is fused.
    squeezed = any("_se_" in node.name for node in graph.node)
    assert found == (0 if squeezed else len(projected))


def test_branches_of_a_concat_share_one_scale(network, files):
    graph = network.graph(files["plain"])
    values = constants(graph)
    for node in of_type(graph, "Concat"):
        pairs = [maker(graph, value) for value in node.input]
        assert {pair.op_type for pair in pairs} == {DQ}, node.name
        after = [u for u in users(graph, node.output[0]) if u.op_type == "QuantizeLinear"]
        scales = [float(values[pair.input[1]]) for pair in [*pairs, *after]]
        assert len(set(scales)) == 1, node.name


def test_pools_read_int8(network, files):
    graph = network.graph(files["plain"])
    for node in of_type(graph, "MaxPool", "AveragePool"):
        assert maker(graph, node.input[0]).op_type == DQ, node.name
