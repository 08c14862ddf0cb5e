"""Before an engine is built: is this the device, is there room, is it in the right power mode?"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.device.power_mode import set_command
from allnet_edge.engines.cuda import Cuda
from allnet_edge.engines.opening import load_tensorrt
from allnet_edge.engines.tensorrt_fit import Here
from allnet_edge.engines.tensorrt_runner import require_attributes
from allnet_edge.errors import DeviceMismatchError, EnvironmentMismatch, StorageError
from allnet_edge.measure.sensors.nvpmodel import read_nvpmodel
from allnet_edge.measure.sensors.source import Source, this_device
from allnet_edge.measure.system import Machine, describe
from allnet_edge.spec.target import Target

# Beside the builder's scratch memory: the graph, its parsed copy, the engine, and the program.
_GRAPH_COPIES, _PROGRAM_MB = 3, 400
# The engine may be larger than its graph: weights are laid out anew, some of them twice.
_ENGINE_SIZE, _SPARE_DISK_MB = 2, 64
_MIB = 1 << 20


def free_disk_mb(folder: Path) -> int:
    """Free space where a folder lies, MiB."""
    return shutil.disk_usage(folder).free // _MIB


@dataclass(frozen=True, slots=True)
class Probes:
    """How this machine is looked at; a test hands in others.

    Attributes:
        trt: The TensorRT module; raises MissingDependencyError where there is none.
        cuda: The CUDA runtime; raises EnvironmentMismatch where there is none.
        source: Files and commands of the system.
        free_disk_mb: Free space where a folder lies, MiB.
    """

    trt: Callable[[], ModuleType] = load_tensorrt
    cuda: Callable[[], Cuda] = Cuda.load
    source: Callable[[], Source] = this_device
    free_disk_mb: Callable[[Path], int] = free_disk_mb


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found.

    Attributes:
        notes: What is unusual and yet no reason to refuse.
    """

    trt: ModuleType
    here: Here
    machine: Machine
    power_mode: str | None
    workspace_mb: int
    notes: tuple[str, ...]


def preflight(
    bundle: Bundle,
    target: Target,
    graphs: tuple[Path, ...],
    *,
    workspace_mb: int | None = None,
    power_mode: str | None = None,
    probes: Probes | None = None,
) -> Preflight:
    """Look, and refuse what would end badly.

    Args:
        bundle: Where the engines are to lie.
        target: What this device should be.
        graphs: The ONNX files to build.
        workspace_mb: Cap of the builder's scratch memory; the target's if None.
        power_mode: The mode that this device should be in; the target's first if None.
        probes: How to look.

    Raises:
        MissingDependencyError: TensorRT is not installed.
        EnvironmentMismatch: TensorRT is too old; no GPU; too little memory; another power mode.
        DeviceMismatchError: Another GPU than the target's.
        StorageError: Too little disk.
    """
    probes = probes or Probes()
    cuda = probes.cuda()  # first: without a GPU nobody needs to install TensorRT
    gpu = cuda.gpu()
    trt = probes.trt()
    require_attributes(trt)
    source = probes.source()
    here, machine = Here(str(trt.__version__), gpu), describe(root=source.root)
    _require_gpu(here, target)
    workspace = workspace_mb or _workspace(target)
    largest = max((path.stat().st_size // _MIB for path in graphs), default=0)
    _require_memory(machine, workspace + _GRAPH_COPIES * largest + _PROGRAM_MB)
    total = sum(path.stat().st_size for path in graphs) // _MIB
    _require_disk(bundle.root, probes.free_disk_mb, _ENGINE_SIZE * total + _SPARE_DISK_MB)
    mode, note = _power(target, source, power_mode)
    notes = tuple(filter(None, (note, _l4t_note(machine, target))))
    return Preflight(trt, here, machine, mode, workspace, notes)


def _workspace(target: Target) -> int:
    return int(target.tensorrt.workspace_mb.value) if target.tensorrt else 1024


def _require_gpu(here: Here, target: Target) -> None:
    wanted = target.module.sm if target.module else None
    if wanted is not None and wanted != here.gpu.sm:
        raise DeviceMismatchError(
            f"the bundle is for {target.title} (SM {wanted}), this GPU is {here.gpu.name} "
            f"(SM {here.gpu.sm})",
            fix="compile on that device, or name this one with --target",
        )


def _require_memory(machine: Machine, needed_mb: int) -> None:
    if machine.available_mb is not None and machine.available_mb < needed_mb:
        raise EnvironmentMismatch(
            f"building needs about {needed_mb} MB of memory, {machine.available_mb} MB are free",
            fix="close other programs (a desktop session takes 0.8 GB), add swap, or use a smaller "
            "--workspace",
        )


def _require_disk(folder: Path, free: Callable[[Path], int], needed_mb: int) -> None:
    there = free(folder)
    if there < needed_mb:
        raise StorageError(
            f"the engines need up to {needed_mb} MB of disk, {there} MB are free",
            where=folder,
            fix="free some space, or copy the bundle to a larger disk",
        )


def _power(target: Target, source: Source, wanted: str | None) -> tuple[str | None, str]:
    """The mode by its name, and a note where it cannot be read."""
    known = [mode.name for mode in target.power_modes]
    wanted = wanted or (known[0] if known else None)
    found = read_nvpmodel(source)
    if found is None:
        return None, f"the power mode cannot be read; {wanted} is wanted" if wanted else ""
    if wanted is not None and found.name != wanted:
        raise EnvironmentMismatch(
            f"the power mode is {found.name}, times are wanted in {wanted}",
            fix=f"{set_command(source, wanted)}; or measure in this one: --power-mode {found.name}",
        )
    return found.name, ""


def _l4t_note(machine: Machine, target: Target) -> str:
    """An unknown release is told: a newer one often works."""
    if machine.l4t is None or not target.jetpack:
        return ""
    release = _numbers(machine.l4t)
    for row in target.jetpack:
        first, _, last = (row.l4t or "").partition("-")
        low, high = _numbers(first), _numbers(last or first)
        if row.l4t and low <= release[: len(low)] and release[: len(high)] <= high:
            return ""
    return f"Jetson Linux {machine.l4t} is no release that this target knows"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
