"""The symmetric scheme of both int8 forms, for tensorflow-model-optimization.

Its own 8-bit scheme has zero points that TensorRT refuses, and leaves the kernel of a convolution
whose batch norm is folded later to a grid of its own. Here every zero point is 0, and a kernel is
rounded for each output channel: the grid of the folded kernel is the same, since folding multiplies
an output channel by a constant.

Fake quantization: Jacob et al. 2018 (arXiv 1712.05877); the gradient passes the rounding as if it
were not there (Bengio et al. 2013, arXiv 1308.3432); steps are learned by that same gradient (Esser
et al. 2020, arXiv 1902.08153) as logarithms (Jain et al. 2020, arXiv 1903.08066).
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras

from allnet_edge.models.towers.api import Layer

LARGEST = 127
_LOWEST = -128  # int8 has it, and both runtimes saturate there
_SMALLEST_RANGE = 1e-6
# The logarithm of a range is learned in units of this, so that it moves ten times as fast as a
# weight: one learning rate serves both.
_UNIT = 10.0
_KERNELS = ("depthwise_kernel", "kernel")
# Any: TensorFlow ships no types, and an untyped decorator would be refused.
_AS_IT_IS: Any = tf.autograph.experimental.do_not_convert

_Pairs: TypeAlias = list[tuple[object, object]]


class PerChannel(tfmot.quantization.keras.quantizers.Quantizer):  # type: ignore[misc]  # tfmot ships no types
    """Rounds a kernel to 127 steps of max|w| / 127 to either side, for each output channel.

    Args:
        others: Axes that share a step.
    """

    def __init__(self, others: Sequence[int]) -> None:
        self._others = tuple(others)

    def build(self, tensor_shape: object, name: str, layer: Layer) -> dict[str, object]:  # noqa: ARG002
        """Nothing to remember: the step follows from the weights."""
        return {}

    def __call__(
        self,
        inputs: tf.Tensor,
        training: bool,  # noqa: ARG002
        weights: dict[str, object],  # noqa: ARG002
        **_: object,
    ) -> tf.Tensor:
        """The rounded kernel, of the same shape."""
        largest = tf.reduce_max(tf.abs(inputs), axis=self._others, keepdims=True)
        step = tf.stop_gradient(tf.where(largest > 0, largest / LARGEST, tf.ones_like(largest)))
        return _rounded(inputs / step) * step

    def get_config(self) -> dict[str, object]:
        """As tfmot asks."""
        return {"others": self._others}


class KernelOnly(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]  # tfmot ships no types
    """Tells tfmot to round the kernel of a layer and nothing else of it."""

    def get_weights_and_quantizers(self, layer: Layer) -> _Pairs:
        """The kernel, with the axes that do not count output channels."""
        kernel = getattr(layer, kernel_name(layer))
        kept = 2 if kernel_name(layer) == "depthwise_kernel" else 1
        return [(kernel, PerChannel(range(len(kernel.shape) - kept)))]

    def set_quantize_weights(self, layer: Layer, quantize_weights: Sequence[object]) -> None:
        """Let the layer compute with the rounded kernel."""
        setattr(layer, kernel_name(layer), quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Layer) -> _Pairs:  # noqa: ARG002
        """None: `FakeQuantized` stands where a tensor is rounded."""
        return []

    @_AS_IT_IS  # type: ignore[untyped-decorator]
    def set_quantize_activations(self, layer: Layer, quantize_activations: object) -> None:
        """Nothing to do."""

    def get_output_quantizers(self, layer: Layer) -> list[object]:  # noqa: ARG002
        """None."""
        return []

    def get_config(self) -> dict[str, object]:
        """As tfmot asks."""
        return {}


def kernel_name(layer: Layer) -> str:
    """The attribute that holds the kernel."""
    return next(name for name in _KERNELS if hasattr(layer, name))


class FakeQuantized(tf_keras.layers.Layer):  # type: ignore[misc]  # tf_keras ships no types
    """Rounds tensors that share a scale to -128..127 steps; the step is learned.

    Args:
        largest: The magnitude that becomes 127 steps, before any training.
    """

    def __init__(self, largest: float, name: str) -> None:
        super().__init__(name=name)
        # A tensor that was 0 on every image may not be on the next one.
        start = largest if largest >= _SMALLEST_RANGE else 1.0
        self._log = self.add_weight(
            name="log_largest",
            shape=(),
            initializer=tf_keras.initializers.Constant(float(tf.math.log(start)) / _UNIT),
        )

    @property
    def largest(self) -> float:
        """The magnitude as it is now."""
        return float(tf.exp(self._log * _UNIT))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Values of the same shape."""
        step = tf.exp(self._log * _UNIT) / LARGEST
        return tf.clip_by_value(_rounded(inputs / step), _LOWEST, LARGEST) * step


class NormUntil(tf_keras.layers.Layer):  # type: ignore[misc]  # tf_keras ships no types
    """A batch norm that takes the statistics of the batch until it is told to stop.

    Krishnamoorthi 2018 (arXiv 1806.08342): towards the end a network has to train with the very
    averages that will be folded into its kernels. Its scale and shift are trained all the time.

    Attributes:
        frozen: Read when a training step is traced.
    """

    def __init__(self, norm: tf_keras.layers.BatchNormalization) -> None:
        super().__init__(name=f"until_{norm.name}")
        self.norm = norm
        self.frozen = False

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """As the norm."""
        return self.norm(inputs, training=bool(training) and not self.frozen)


@_AS_IT_IS  # type: ignore[untyped-decorator]
@tf.custom_gradient  # type: ignore[untyped-decorator]
def _rounded(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """To whole numbers, ties to even as both runtimes do; the gradient passes."""
    return tf.round(values), lambda upstream: upstream
