"""ONNX Runtime on the CPU."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as failures

from allnet_edge.engines.base import Images, SingleImageRunner
from allnet_edge.errors import ConversionError, IntegrityError

_ERRORS_ONLY = 3  # onnxruntime's log level
_INPUT_TYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
# onnxruntime's exceptions have no base of their own.
_DAMAGED = (failures.InvalidProtobuf, failures.InvalidArgument, failures.NoSuchFile)
_REFUSED = (
    failures.Fail,
    failures.InvalidGraph,
    failures.NotImplemented,
    failures.RuntimeException,
    failures.EPFail,
)


class OnnxRunner(SingleImageRunner):
    """Runs an ``.onnx`` file; see ``Runner``. The input may be uint8 or float (pixels as 0..255).

    Raises:
        IntegrityError: On enter: no ``.onnx`` file, or a damaged one.
        ConversionError: On enter: an operator or a tensor type that this runtime cannot run.
    """

    engine = "onnx"

    def _activate(self) -> tuple[int, ...]:
        self._session = session = self._load()
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in _INPUT_TYPES:
            types = ", ".join(tensor.type for tensor in inputs)
            raise ConversionError(
                f"the model has inputs [{types}] and {len(outputs)} outputs, not one image as "
                "uint8 or float and one output",
                where=self.path,
            )
        self._input, self._dtype = inputs[0].name, _INPUT_TYPES[inputs[0].type]
        # A named or unknown dimension is a string or None; only the batch may be one.
        batch, *sides = inputs[0].shape
        return (batch if isinstance(batch, int) else 1, *(side or 0 for side in sides))

    def _load(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            return onnxruntime.InferenceSession(
                str(self.path), options, providers=["CPUExecutionProvider"]
            )
        except _DAMAGED as error:
            raise IntegrityError(
                f"not an ONNX model, or one that is damaged or cut short: {error}",
                where=self.path,
                fix="copy the file again, or build it again",
            ) from error
        except _REFUSED as error:
            raise ConversionError(
                f"ONNX Runtime {onnxruntime.__version__} cannot run this model: {error}",
                where=self.path,
                fix="the file may be damaged: copy it again; or build it again for this version",
            ) from error

    def _infer_one(self, image: Images) -> NDArray[np.floating]:
        pixels = image.astype(self._dtype, copy=False)
        output: NDArray[np.floating] = self._session.run(None, {self._input: pixels})[0]
        return output

    def _release(self) -> None:
        self._session = None


def open_file(path: Path, threads: int | None = None) -> OnnxRunner:
    """The runner of an ``.onnx`` file."""
    return OnnxRunner(path, threads)
