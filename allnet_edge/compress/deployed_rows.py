"""The order that the rows of a dense layer have on the device.

Keras flattens a map as [height, width, channels]; in ONNX, which TensorRT reads, it is [channels,
height, width], and the export permutes the rows of the dense layer behind. Four neighbouring rows
there are others than here, and a 2:4 pattern counts there.
"""

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras

Rows = npt.NDArray[np.int64]
"""[rows]: ``kernel[rows]`` is the kernel as it is deployed."""


def deployed_rows(model: tf_keras.Model) -> dict[str, Rows]:
    """For every dense layer behind a flattened map larger than 1x1, by its name."""
    behind: dict[int, Rows] = {}
    found = {}
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.Flatten) and flattens_a_map(layer):
            _, height, width, channels = layer.input.shape
            places = np.arange(height * width * channels).reshape(height, width, channels)
            behind[id(layer.output)] = places.transpose(2, 0, 1).ravel()
        elif isinstance(layer, tf_keras.layers.Dropout) and id(layer.input) in behind:
            behind[id(layer.output)] = behind[id(layer.input)]
        elif isinstance(layer, tf_keras.layers.Dense) and id(layer.input) in behind:
            found[layer.name] = behind[id(layer.input)]
    return found


def flattens_a_map(layer: tf_keras.layers.Flatten) -> bool:
    """Whether the order of what comes out depends on the layout."""
    shape = layer.input.shape
    return len(shape) == 4 and math.prod(shape[1:3]) > 1


class FlattenAsDeployed(tf_keras.layers.Flatten):  # type: ignore[misc]  # tf_keras ships no types
    """[n, h, w, c] to [n, c * h * w], channels first."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return super().call(tf.transpose(inputs, [0, 3, 1, 2]))
