"""LiteRT (formerly TensorFlow Lite) on the CPU, with XNNPACK where the graph allows it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from allnet_edge.engines.base import Images, SingleImageRunner
from allnet_edge.errors import ConversionError, IntegrityError, first_line

Encode: TypeAlias = Callable[[Images, NDArray[np.generic]], object]
"""Writes pixels into an input tensor."""

Decode: TypeAlias = Callable[[NDArray[np.generic]], NDArray[np.floating]]


_TOP_BIT = np.uint8(0x80)


@dataclass(frozen=True, slots=True)
class TensorFormat:
    """How a tensor stores real numbers: as they are, or real = scale * (q - zero_point).

    Attributes:
        dtype: Storage type.
        scale: Step of the grid; 0 where the tensor is not quantized.
        zero_point: The stored value that stands for 0.
    """

    dtype: np.dtype[np.generic]
    scale: float = 0.0
    zero_point: int = 0


class LiteRtRunner(SingleImageRunner):
    """Runs a ``.tflite`` file; see ``Runner``.

    The input tensor may be float32 (pixels as 0..255), uint8, or quantized int8 / uint8; the
    output tensor float or quantized.

    Raises:
        IntegrityError: On enter: no ``.tflite`` file, or a damaged one.
        ConversionError: On enter: an operator or a tensor type that this runtime cannot run.
    """

    engine = "litert"

    def _activate(self) -> tuple[int, ...]:
        self._interpreter = interpreter = self._load()
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ConversionError(
                f"the model has {len(inputs)} inputs and {len(outputs)} outputs, not one each",
                where=self.path,
            )
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        try:
            self._encode = encoder(
                TensorFormat(np.dtype(inputs[0]["dtype"]), *inputs[0]["quantization"])
            )
            self._decode = decoder(
                TensorFormat(np.dtype(outputs[0]["dtype"]), *outputs[0]["quantization"])
            )
        except ValueError as error:
            raise ConversionError(f"the model's {error}", where=self.path) from error
        return tuple(int(side) for side in inputs[0]["shape"])

    def _load(self) -> Interpreter:
        try:
            interpreter = Interpreter(model_path=str(self.path), num_threads=self.threads)
        except ValueError as error:
            raise IntegrityError(
                f"not a TFLite model, or one that is damaged or cut short: {first_line(error)}",
                where=self.path,
                fix="copy the file again, or build it again",
            ) from error
        try:
            interpreter.allocate_tensors()
        except RuntimeError as error:
            raise ConversionError(
                f"LiteRT cannot run this model: {first_line(error)}",
                where=self.path,
                fix="build it with built-in int8 or float operators only",
            ) from error
        return interpreter

    @property
    def delegate(self) -> str | None:
        """``XNNPACK`` where it has taken operators over; None where the runtime's own kernels run.

        No other delegate is ever loaded here, and the runtime names one only ``DELEGATE``.
        """
        names = {operator["op_name"] for operator in self._interpreter._get_ops_details()}
        return "XNNPACK" if any("delegate" in name.lower() for name in names) else None

    def _infer_one(self, image: Images) -> NDArray[np.floating]:
        # Straight into the tensor: an array of its own would cost a second pass over the pixels and
        # fresh pages each time. No view may live while the interpreter runs, so none gets a name.
        self._encode(image, self._interpreter.tensor(self._input)())
        self._interpreter.invoke()
        return self._decode(self._interpreter.tensor(self._output)())

    def _release(self) -> None:
        # The interpreter holds the mapped file and the arena; dropping it frees both.
        self._interpreter = None


def encoder(tensor: TensorFormat) -> Encode:
    """How uint8 pixels get into an input tensor of the same shape.

    A quantized tensor gets q = round(pixel / scale) + zero_point, halves away from zero and
    limited to the type's range, as LiteRT's own QUANTIZE operator does it.

    Raises:
        ValueError: A type other than float32, int8, uint8, or int8 without a scale.
    """
    grid = (tensor.scale, tensor.zero_point)
    if tensor.dtype == np.float32 or (tensor.dtype == np.uint8 and grid in ((0.0, 0), (1.0, 0))):
        return lambda images, out: np.copyto(out, images)
    if tensor.dtype == np.int8 and grid == (1.0, -128):
        # Flipping the top bit subtracts 128 in two's complement: exact, and without a table.
        return lambda images, out: np.bitwise_xor(images, _TOP_BIT, out=out.view(np.uint8))
    table = _quantized_pixels(tensor)
    return lambda images, out: np.take(table, images, out=out, mode="clip")


def decoder(tensor: TensorFormat) -> Decode:
    """How an output tensor becomes probabilities: scale * (q - zero_point), or as it is.

    Raises:
        ValueError: An integer type without a scale.
    """
    if np.issubdtype(tensor.dtype, np.floating):
        return lambda values: values.astype(np.float32)
    if tensor.scale <= 0:
        raise ValueError(f"output is {tensor.dtype} without a scale")
    scale, zero_point = np.float32(tensor.scale), np.float32(tensor.zero_point)
    return lambda values: (values.astype(np.float32) - zero_point) * scale


def _quantized_pixels(tensor: TensorFormat) -> NDArray[np.generic]:
    """The stored value of each pixel value 0..255."""
    if tensor.scale <= 0:
        raise ValueError(f"input is {tensor.dtype} without a scale")
    quantized = np.floor(np.arange(256) / tensor.scale + 0.5) + tensor.zero_point
    if tensor.dtype == np.int8:
        return quantized.clip(-128, 127).astype(np.int8)
    if tensor.dtype == np.uint8:
        return quantized.clip(0, 255).astype(np.uint8)
    raise ValueError(f"input is {tensor.dtype}, not float32, uint8 or int8")


def open_file(path: Path, threads: int | None = None) -> LiteRtRunner:
    """The runner of a ``.tflite`` file."""
    return LiteRtRunner(path, threads)
