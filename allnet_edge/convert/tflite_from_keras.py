"""tf-keras network -> TFLite, float32, static batch 1."""

import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from allnet_edge.errors import ConversionError, first_line
from allnet_edge.models.towers.api import KerasModel


def tflite_from_keras(model: KerasModel, size: int) -> bytes:
    """Convert a network whose first layer standardises pixels.

    Returns:
        A flatbuffer with the signature ``serving_default``: ``pixels`` float32 [1, size, size, 3]
        in 0..255 to ``probability`` float32 [1, units]. The pixels are float here because XNNPACK
        takes no Cast from uint8; the runner casts them.

    Raises:
        ConversionError: An operator that TFLite's builtin set does not have.
    """

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec((1, size, size, 3), tf.float32, name="pixels")]
    )
    def serve(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probability": model(pixels, training=False)}

    # The network itself would be saved on the way, and every layer of it traced twice over: ALLNet
    # took 40 s instead of 8, for the same bytes.
    holder = tf.Module()
    holder.variables_of_the_network = model.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [serve.get_concrete_function()], holder
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        flatbuffer: bytes = converter.convert()
    except (ValueError, RuntimeError, ConverterError) as error:
        raise ConversionError(
            f"the network cannot be written as TFLite: {first_line(error)}",
            fix="the stage's log names the operator; replace that layer in the network",
        ) from error
    return flatbuffer
