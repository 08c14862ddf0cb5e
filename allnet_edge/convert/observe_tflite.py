"""One pass of images through a float TFLite graph: what every activation looks like."""

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from allnet_edge.convert.ranges import Observation
from allnet_edge.convert.tflite_graph import read_graph
from allnet_edge.errors import ConversionError, first_line
from allnet_edge.progress import Progress, silent


class TfliteObserver:
    """Holds a graph open, so that parts of the calibration set can be observed one by one.

    Args:
        float_model: From ``tflite_from_keras``: float32 pixels in.
        threads: Of one inference.

    Raises:
        ConversionError: LiteRT cannot run the graph.
    """

    def __init__(self, float_model: Path, *, threads: int = 1) -> None:
        graph = read_graph(float_model)
        # A kernel reads channels on the last axis, of maps [1, h, w, c] as of rows [1, c].
        kernels = {graph.data_of(operator) for operator, _ in graph.weighted()}
        self._axes = {at: -1 if at in kernels else None for at in graph.activations()}
        self._names = {at: graph.name(at) for at in self._axes}
        try:
            with warnings.catch_warnings():
                # It warns of the memory that this is meant to take.
                warnings.simplefilter("ignore", UserWarning)
                self._interpreter = Interpreter(
                    model_path=str(float_model),
                    num_threads=threads,
                    experimental_preserve_all_tensors=True,
                )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"the TFLite graph cannot be run: {first_line(error)}", where=float_model
            ) from error
        self._input = self._interpreter.get_input_details()[0]["index"]

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
            self._interpreter.set_tensor(self._input, image[None].astype(np.float32))
            self._interpreter.invoke()
            found.add(self._activations())
            progress("TFLite ranges", found.images, 0)
        if not found.images:
            raise ConversionError("there are no calibration images to take ranges from")
        return found

    def _activations(self) -> Iterator[tuple[str, npt.NDArray[np.float32], int | None]]:
        for at, axis in self._axes.items():
            # A copy: a view into the arena that outlives this call would block the next one.
            yield self._names[at], self._interpreter.get_tensor(at), axis


def observe_tflite(
    float_model: Path,
    images: Iterable[npt.NDArray[np.uint8]],
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> Observation:
    """Observe one set of images; see ``TfliteObserver``."""
    return TfliteObserver(float_model, threads=threads).observe(images, progress=progress)
