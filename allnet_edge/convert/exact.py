"""Float32 that is float32: what every other form of a network is compared with."""

import tensorflow as tf


def require_full_float32() -> None:
    """Keep TensorFlow from rounding the factors of float32 products to TF32, for this process.

    On GPUs since Ampere it does so unasked: 10 bits of mantissa instead of 23, a relative error of
    up to 5e-4 a factor. The float network could then differ from its own exports by more than the
    1e-4 of a probability that they are allowed, and would differ from one machine to the next.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
