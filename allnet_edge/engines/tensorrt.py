"""TensorRT, as JetPack installs it."""

from pathlib import Path

import tensorrt

from allnet_edge.artifacts.device_files import dla_core_of
from allnet_edge.engines.tensorrt_runner import TensorRtRunner

TRT = tensorrt
"""The module, for what builds engines: nothing else imports it."""


def open_file(path: Path, threads: int | None = None) -> TensorRtRunner:
    """The runner of an ``.engine`` file; a sidecar beside it names its DLA core."""
    return TensorRtRunner(path, TRT, threads, dla_core=dla_core_of(path))
