"""tf-keras network -> ONNX, float32, opset 17, static batch 1, uint8 NHWC pixels in."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import tensorflow as tf
import tf2onnx

from allnet_edge.convert.onnx_cleanup import clean
from allnet_edge.convert.onnx_names import restore_names
from allnet_edge.errors import ConversionError, first_line
from allnet_edge.models.towers.api import KerasModel

OPSET = 17  # the last that TensorRT 8.5 (JetPack 5.1) reads
INPUT, OUTPUT = "pixels", "probability"
_CATCH = "TF2ONNX_CATCH_ERRORS"
# Those of onnx derive from Exception alone.
_REFUSALS = (
    ValueError,
    RuntimeError,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)


def onnx_from_keras(model: KerasModel, size: int) -> onnx.ModelProto:
    """Convert a network whose first layer standardises pixels.

    Args:
        model: From ``models.build(tf_keras, spec)``.
        size: Side of its input in pixels.

    Returns:
        Input ``pixels`` uint8 [1, size, size, 3] in 0..255; output ``probability`` float32
        [1, units]. Batch norms are folded, no Transpose is left but the one of the input.

    Raises:
        ConversionError: An operator that ONNX cannot express, or a graph that does not check.
    """
    signature = [tf.TensorSpec((1, size, size, 3), tf.uint8, name=INPUT)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def serve(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: model(tf.cast(pixels, tf.float32), training=False)}

    try:
        with _frugal():
            proto, _ = tf2onnx.convert.from_function(serve, input_signature=signature, opset=OPSET)
        restore_names(proto, model)
        proto = clean(proto)
        onnx.checker.check_model(proto, full_check=True)
    except _REFUSALS as error:
        raise ConversionError(
            f"the network cannot be written as ONNX: {first_line(error)}",
            fix="the stage's log names the operator; replace that layer in the network",
        ) from error
    return proto


@contextmanager
def _frugal() -> Iterator[None]:
    """Keep tf2onnx from holding dozens of copies of the network.

    For every pass of its optimizer it copies the graph with all weights, to be able to go on after
    a pass that failed: the variable is its switch against that, and a failed pass then ends the
    conversion, which is what we want anyway. What it drops holds cycles, which the collector finds
    too few to look at beside TensorFlow's objects; frozen ones do not count. ALLNet at 250x250,
    268 MB, took 16.5 GiB without both.
    """
    before = os.environ.get(_CATCH)
    os.environ[_CATCH] = "FALSE"
    gc.collect()
    gc.freeze()
    gc.collect()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.collect()
        if before is None:
            del os.environ[_CATCH]
        else:
            os.environ[_CATCH] = before
