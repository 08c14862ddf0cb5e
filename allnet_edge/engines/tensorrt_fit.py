"""Whether an engine was made on this device, by this TensorRT, from the graph that was signed."""

from dataclasses import dataclass
from types import ModuleType

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.device_files import EngineRecord
from allnet_edge.artifacts.files import sha256_file
from allnet_edge.engines.cuda import Cuda, Gpu


@dataclass(frozen=True, slots=True)
class Here:
    """What an engine is bound to.

    Attributes:
        tensorrt: Its version.
        gpu: The GPU of this machine.
    """

    tensorrt: str
    gpu: Gpu

    @classmethod
    def of(cls, trt: ModuleType, cuda: Cuda | None = None) -> "Here":
        """Look; raises EnvironmentMismatch where there is no GPU."""
        return cls(str(trt.__version__), (cuda or Cuda.load()).gpu())


def why_unfit(bundle: Bundle, record: EngineRecord, here: Here) -> str | None:
    """Why an engine cannot be used here; None where it can."""
    return why_other_origin(bundle, record) or why_other_device(record, here)


def why_other_origin(bundle: Bundle, record: EngineRecord) -> str | None:
    """Whether the engine's file and the graph that it came from are as they were."""
    sources = {one.id: one.file for one in bundle.manifest.candidates}
    if bundle.manifest.files.get(sources.get(record.source, "")) != record.onnx_sha256:
        return "it was built from another ONNX graph than the one in this bundle"
    path = bundle.path(record.file)
    if not path.is_file() or sha256_file(path) != record.engine_sha256:
        return "its file is cut short or has changed since it was built"
    return None


def why_other_device(record: EngineRecord, here: Here) -> str | None:
    """Whether it is this GPU and this TensorRT that it was built with."""
    if record.sm != here.gpu.sm:
        return (
            f"it was built for a GPU of SM {record.sm} ({record.gpu}), this one is SM "
            f"{here.gpu.sm} ({here.gpu.name})"
        )
    if record.tensorrt != here.tensorrt:
        return f"it was built by TensorRT {record.tensorrt}, this device has {here.tensorrt}"
    return None
