"""One pass of images through a float ONNX graph: what every tensor looks like that may be int8."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures

from allnet_edge.convert.onnx_from_keras import INPUT
from allnet_edge.convert.onnx_wiring import Wiring
from allnet_edge.convert.qdq_placement import observable
from allnet_edge.convert.ranges import Observation
from allnet_edge.errors import ConversionError, first_line
from allnet_edge.progress import Progress, silent

_ERRORS_ONLY = 3  # onnxruntime's log level
_REFUSED = (
    failures.Fail,
    failures.InvalidGraph,
    failures.NotImplemented,
    failures.RuntimeException,
)


class OnnxObserver:
    """Holds a graph open, so that parts of the calibration set can be observed one by one.

    Args:
        float_model: From ``onnx_from_keras``, batch norms folded.
        threads: Of one inference.

    Raises:
        ConversionError: onnxruntime cannot run the graph.
    """

    def __init__(self, float_model: Path, *, threads: int = 1) -> None:
        model = onnx.load(float_model)
        # A kernel reads channels on axis 1, of maps [1, c, h, w] as of rows [1, c].
        self._axes = {
            name: 1 if kernel else None for name, kernel in observable(Wiring(model.graph)).items()
        }
        inside = {value.name for value in model.graph.output}
        for name in self._axes:
            if name not in inside:
                model.graph.output.append(
                    onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
                )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except _REFUSED as error:
            raise ConversionError(
                f"the ONNX graph cannot be run: {first_line(error)}", where=float_model
            ) from error

    def observe(
        self, images: Iterable[npt.NDArray[np.uint8]], *, progress: Progress = silent
    ) -> Observation:
        """Run images.

        Args:
            images: uint8 [size, size, 3]; all are used.

        Raises:
            ConversionError: There is no image, or an activation is NaN or infinite.
        """
        found = Observation()
        for image in images:
            found.add(self._activations(image))
            progress("ONNX ranges", found.images, 0)
        if not found.images:
            raise ConversionError("there are no calibration images to take ranges from")
        return found

    def _activations(
        self, image: npt.NDArray[np.uint8]
    ) -> Iterator[tuple[str, npt.NDArray[np.float32], int | None]]:
        values = self._session.run(list(self._axes), {INPUT: image[None]})
        return ((name, one, self._axes[name]) for name, one in zip(self._axes, values, strict=True))


def observe_onnx(
    float_model: Path,
    images: Iterable[npt.NDArray[np.uint8]],
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> Observation:
    """Observe one set of images; see ``OnnxObserver``."""
    return OnnxObserver(float_model, threads=threads).observe(images, progress=progress)
