"""How large a network is: parameters and multiply-accumulates."""

import math

from allnet_edge.models.towers.api import KerasModel, Layer

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def parameters_of(model: KerasModel) -> int:
    """All weights, the moving averages of batch norm included, as Keras counts them."""
    return sum(math.prod(variable.shape) for layer in model.layers for variable in layer.weights)


def macs_of(model: KerasModel) -> int:
    """Multiply-accumulates of one image through convolutions and dense layers.

    The usual count: every output value of a convolution costs one MAC per kernel weight that
    reaches it, padding included; biases, batch norm, pooling and activations are left out. A
    grouped convolution counts the weights of its own group.
    """
    return sum(macs_of_layer(layer) for layer in model.layers)


def macs_of_layer(layer: Layer) -> int:
    """Those of one layer; 0 where it has no kernel."""
    kernels = [w for w in layer.weights if w.name.rsplit("/", 1)[-1].split(":")[0] in _KERNELS]
    places = math.prod(layer.output.shape[1:-1])
    return sum(math.prod(kernel.shape) * places for kernel in kernels)
