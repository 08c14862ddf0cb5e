"""2:4 zeros are found where they are, and survive folding, export and quantization everywhere."""

import numpy as np
import onnx
import pytest
import tf_keras
from onnx import TensorProto, helper, numpy_helper

from allnet_edge import models
from allnet_edge.compress.deployed_rows import deployed_rows
from allnet_edge.compress.sparsity import eligible_for_2_4
from allnet_edge.convert.estimators import estimate_all
from allnet_edge.convert.observe_onnx import observe_onnx
from allnet_edge.convert.onnx_from_keras import onnx_from_keras
from allnet_edge.convert.qdq_from_onnx import qdq_from_onnx
from allnet_edge.convert.sparsity_2_4 import invalid_blocks
from allnet_edge.models.storage.weights import arrays_of, assign
from allnet_edge.spec.network import NetworkSpec, Preprocess

SMALLEST = {"allnet": 96, "inceptionv3": 75, "vgg16": 64}


def two_of_four(kernel, rows=None):
    """The two smaller of every four weights along the input channels at zero."""
    seen = kernel if rows is None else kernel[rows]
    blocks = np.moveaxis(seen, -2, -1)
    flat = blocks.reshape(-1, 4).copy()
    np.put_along_axis(flat, np.argsort(np.abs(flat), axis=1)[:, :2], 0, axis=1)
    sparse = np.moveaxis(flat.reshape(blocks.shape), -1, -2)
    if rows is None:
        return sparse
    back = np.empty_like(sparse)
    back[rows] = sparse
    return back


def sparse(network: str, width: float = 0.125):
    size = SMALLEST.get(network, 48)
    spec = NetworkSpec(
        network=network, preprocess=Preprocess(size=size), classes=("hem", "all"), width=width
    )
    tf_keras.utils.set_random_seed(4)
    model = models.build(tf_keras, spec)
    rows, arrays = deployed_rows(model), arrays_of(model)
    rng = np.random.default_rng(4)
    depthwise = {n.name for n in model.layers if isinstance(n, tf_keras.layers.DepthwiseConv2D)}
    for name, array in arrays.items():
        layer, _, variable = name.partition("/")
        if variable in {"gamma", "moving_variance"}:
            arrays[name] = rng.uniform(0.5, 2, array.shape).astype(np.float32)
        if variable == "kernel" and layer not in depthwise and eligible_for_2_4(array.shape):
            arrays[name] = two_of_four(array, rows.get(layer))
    assign(model, arrays)
    return model, size


@pytest.mark.parametrize("network", models.network_names())
def test_no_block_is_lost_on_the_way_to_the_device(network, tmp_path):
    model, size = sparse(network)
    graph = onnx_from_keras(model, size)
    onnx.save(graph, tmp_path / "float.onnx")
    images = np.random.default_rng(1).integers(0, 256, (8, size, size, 3)).astype(np.uint8)
    ranges = estimate_all(observe_onnx(tmp_path / "float.onnx", images), "min-max", symmetric=True)
    qdq_from_onnx(tmp_path / "float.onnx", tmp_path / "int8.onnx", ranges)
    eligible = sum(
        eligible_for_2_4(layer.kernel.shape)
        for layer in model.layers
        if isinstance(layer, tf_keras.layers.Conv2D | tf_keras.layers.Dense)
    )
    for found in (invalid_blocks(graph), invalid_blocks(onnx.load(tmp_path / "int8.onnx"))):
        assert len(found) == eligible
        assert not any(found.values()), found


def test_a_dense_network_is_told_from_a_sparse_one():
    model, size = sparse("custom_cnn", 0.25)
    arrays = arrays_of(model)
    arrays["conv2/kernel"] = np.ones_like(arrays["conv2/kernel"])
    assign(model, arrays)
    found = list(invalid_blocks(onnx_from_keras(model, size)).values())
    assert found == [1.0, 0.0, 0.0, 0.0]


def test_behind_a_flattened_map_blocks_are_those_of_the_device():
    """In Keras' own order of the rows they would not be blocks there."""
    model, size = sparse("custom_cnn", 0.25)
    arrays = arrays_of(model)
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=arrays["dense/kernel"].shape).astype(np.float32)
    arrays["dense/kernel"] = two_of_four(kernel)
    assign(model, arrays)
    assert list(invalid_blocks(onnx_from_keras(model, size)).values())[-1] > 0.1
    arrays["dense/kernel"] = two_of_four(kernel, deployed_rows(model)["dense"])
    assign(model, arrays)
    assert list(invalid_blocks(onnx_from_keras(model, size)).values())[-1] == 0.0


def graph_of(op: str, kernel: np.ndarray, *, coded: bool = False, **attributes: int):
    """One node with a constant kernel, through a Q/DQ pair where ``coded``."""
    constants, nodes, value = [numpy_helper.from_array(kernel, "w")], [], "w"
    if coded:
        constants += [
            numpy_helper.from_array(np.full(kernel.shape[0], 0.5, np.float32), "s"),
            numpy_helper.from_array(np.full(kernel.shape[0], 3, np.int8), "z"),
        ]
        nodes = [
            helper.make_node("QuantizeLinear", ["w", "s", "z"], ["q"], axis=0),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], axis=0),
        ]
        value = "d"
    nodes.append(helper.make_node(op, ["x", value], ["y"], name="node", **attributes))
    sides = (helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "xy")
    return helper.make_model(helper.make_graph(nodes, "g", *[[side] for side in sides], constants))


BLOCKS = np.array([[1, 1, 0, 0], [0, 5, 0, 2], [1, 2, 3, 0], [0.1, 0.1, 2, 2]], np.float32)


@pytest.mark.parametrize(
    ("graph", "share"),
    [
        (graph_of("Conv", BLOCKS[:, :, None, None]), 0.5),
        (graph_of("MatMul", np.ascontiguousarray(BLOCKS.T)), 0.5),
        (graph_of("Gemm", BLOCKS, transB=1), 0.5),
        # 0.1 is no step of 0.5: the device reads 0, and the last block is a valid one.
        (graph_of("Conv", BLOCKS[:, :, None, None], coded=True), 0.25),
    ],
    ids=["conv", "matmul", "gemm", "qdq"],
)
def test_blocks_lie_along_the_input_channels_as_the_device_reads_them(graph, share):
    assert invalid_blocks(graph) == {"node": share}


@pytest.mark.parametrize(
    "kernel",
    [np.ones((8, 3, 3, 3)), np.ones((8, 1, 3, 3)), np.ones((1, 8, 1, 1)), np.ones((8, 6, 1, 1))],
    ids=["stem", "depth-wise", "one output", "six inputs"],
)
def test_what_cannot_be_2_4_is_not_told(kernel):
    assert invalid_blocks(graph_of("Conv", kernel.astype(np.float32))) == {}
