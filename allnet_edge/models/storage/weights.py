"""Weights as named numpy arrays, independent of the Keras that holds them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from allnet_edge.errors import IntegrityError
from allnet_edge.models.towers.api import KerasModel, Variable

Arrays = dict[str, npt.NDArray[np.generic]]


def arrays_of(model: KerasModel) -> Arrays:
    """All weights as ``layer/variable`` -> array, in the order of the layers."""
    return {
        f"{layer.name}/{_short(variable)}": np.asarray(variable.numpy())
        for layer in model.layers
        for variable in layer.weights
    }


def assign(model: KerasModel, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Copy arrays into a model of the same architecture.

    Raises:
        IntegrityError: Names the first layer that is missing, unknown or of another shape.
    """
    wanted = {
        f"{layer.name}/{_short(variable)}": variable
        for layer in model.layers
        for variable in layer.weights
    }
    for name, variable in wanted.items():
        if name not in arrays:
            raise IntegrityError(
                f"the weights have no '{name}'", fix="use weights of the same network and width"
            )
        if tuple(arrays[name].shape) != tuple(variable.shape):
            raise IntegrityError(
                f"'{name}' has shape {tuple(arrays[name].shape)}, "
                f"the network needs {tuple(variable.shape)}",
                fix="use weights of the same network, width, input size and classes",
            )
    unknown = [name for name in arrays if name not in wanted]
    if unknown:
        raise IntegrityError(f"the network has no '{unknown[0]}', but the weights do")
    for name, variable in wanted.items():
        variable.assign(arrays[name])


def _short(variable: Variable) -> str:
    """The name in Keras 3: ``kernel`` for ``conv1/kernel:0`` of tf-keras too.

    tf-keras alone says ``depthwise_kernel`` where a convolution works on each channel by itself.
    """
    return variable.name.rsplit("/", 1)[-1].split(":")[0].removeprefix("depthwise_")
