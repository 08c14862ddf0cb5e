"""Names of convolutions that the exporter rewrote and named anew: dilated and padded ones."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from allnet_edge.models.towers.api import KerasModel

_KERNELS = {"kernel": (3, 2, 0, 1), "depthwise_kernel": (2, 3, 0, 1)}
"""From Keras' order of axes to [out, in / groups, height, width]."""
_TOLERANCE = 1e-4
Directions: TypeAlias = npt.NDArray[np.float32]


def restore_names(model: onnx.ModelProto, network: KerasModel) -> None:
    """Give every Conv the name ``network/layer/Conv2D`` of the layer whose kernel it has, in place.

    What quantizes a layer, or keeps it in float, finds its node by that name. Kernels are compared
    channel by channel up to a factor, since the exporter may have folded a batch norm into them.
    """
    layers = {layer.name for layer in network.layers}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    convolutions = [
        node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in weights
    ]
    lost = [node for node in convolutions if _layer(node.name) not in layers]
    if not lost:
        return
    named = {_layer(node.name) for node in convolutions}
    kernels = {name: one for name, one in _kernels(network).items() if name not in named}
    for node in lost:
        found = _directions(numpy_helper.to_array(weights[node.input[1]]))
        same = [name for name, one in kernels.items() if _alike(one, found)]
        if len(same) == 1:
            node.name = f"{network.name}/{same[0]}/Conv2D"


def _layer(name: str) -> str:
    parts = name.split("/")
    return parts[1] if len(parts) > 2 else ""


def _kernels(network: KerasModel) -> dict[str, Directions]:
    found = {}
    for layer in network.layers:
        for variable in layer.weights:
            axes = _KERNELS.get(variable.name.rsplit("/", 1)[-1].split(":")[0])
            if axes is not None and len(variable.shape) == 4:
                kernel = np.transpose(variable.numpy(), axes)
                # [in, multiplier, ...] of a depth-wise kernel are its output channels.
                outputs = kernel.shape[0] if axes[0] == 3 else kernel.shape[0] * kernel.shape[1]
                found[layer.name] = _directions(kernel.reshape(outputs, -1))
    return found


def _directions(kernel: npt.NDArray[np.float32]) -> Directions:
    """Every output channel as a row whose entry of largest magnitude is 1."""
    rows = kernel.reshape(len(kernel), -1)
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    factors = np.where(largest == 0, np.float32(1), largest).astype(np.float32)
    scaled: Directions = (rows / factors[:, None]).astype(np.float32)
    return scaled


def _alike(one: Directions, other: Directions) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=0, atol=_TOLERANCE))
