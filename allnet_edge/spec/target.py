"""The device that a bundle is made for: one TOML file in targets/, strict, with its sources."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from allnet_edge.errors import RecipeError
from allnet_edge.spec.base import Frozen, known_name, read_toml
from allnet_edge.spec.shipped import shipped_folder
from allnet_edge.spec.target_checks import contradictions

Runtime = Literal["tensorrt", "onnx", "litert"]
Precision = Literal["int8", "mixed", "fp16", "fp32"]
"""``mixed``: int8, but for the layers that it costs too much in."""
Format = Literal["onnx", "tflite"]


class Figure(Frozen):
    """A number about a device, with where it comes from.

    A source that opens with ``computed`` was computed by us from the figures that it names; one
    that says ``from memory, verify`` was found in no document that we could read.
    """

    value: float = Field(gt=0)
    source: str = Field(min_length=3)


class Note(Frozen):
    """What a user of the device must know, with where it comes from."""

    text: str = Field(min_length=3)
    source: str = Field(min_length=3)


class Module(Frozen):
    """What the device computes with. The unit is in the name; GPU clocks are the highest ones.

    Attributes:
        sm: CUDA compute capability, such as ``8.7``.
        cpu: Cores in words, such as ``4x Cortex-A76``.
        bandwidth_gb_s: Of the memory, theoretical peak.
        fp16_tops: Dense, GPU alone; absent where the GPU has no fast FP16.
        int8_tops: Dense, GPU alone; absent where the GPU has no fast INT8.
        dla: Deep learning accelerators beside the GPU.
        source: Of ``sm``, ``cpu`` and ``dla``, which are facts without a unit.
    """

    cpu: str
    source: str = Field(min_length=3)
    cpu_mhz: Figure
    memory_gb: Figure
    bandwidth_gb_s: Figure
    sm: str | None = Field(default=None, pattern=r"^\d+\.\d$")
    cuda_cores: Figure | None = None
    tensor_cores: Figure | None = None
    gpu_mhz: Figure | None = None
    fp16_tops: Figure | None = None
    int8_tops: Figure | None = None
    dla: int = Field(default=0, ge=0)


class JetPack(Frozen):
    """One supported release of the device's system software. None: our source does not say.

    Attributes:
        tensorrt: The version, or the first and the last one with a hyphen between.
        opset: Highest ONNX opset that a graph for this release may use.
        serve: ``package``: allnet-edge runs there itself. ``trtexec``: it cannot, for want of a
            Python that is new enough; the bundle brings the graph and the command for the
            release's own ``trtexec``.
    """

    version: str
    tensorrt: str = Field(pattern=r"^\d+\.\d+(\.\d+)?(-\d+\.\d+(\.\d+)?)?$")
    opset: int = Field(ge=11, le=17)
    serve: Literal["package", "trtexec"]
    source: str = Field(min_length=3)
    l4t: str | None = None
    cuda: str | None = None
    python: str | None = Field(default=None, pattern=r"^\d+\.\d+$")
    ubuntu: str | None = None


class PowerMode(Frozen):
    """A power mode, by the name that the device gives it: the numbers differ between boards."""

    name: str
    watts: float | None = Field(default=None, gt=0)
    source: str = Field(min_length=3)


class TensorRTOptions(Frozen):
    """What the TensorRT builder is told on this device.

    Attributes:
        workspace_mb: Cap of its scratch memory, so that a build leaves memory for all else.
        dla: Build for a DLA core, with the GPU for the layers that it cannot do.
        sparse_weights: Let it use 2:4 sparse kernels. They exist from Ampere on (SM 8.0), and help
            only a network that was pruned 2:4.
    """

    workspace_mb: Figure
    dla: bool = False
    sparse_weights: bool = False


class Target(Frozen):
    """A device, and what can be built for it.

    Attributes:
        name: The file's name without its suffix.
        aliases: Other names by which people may ask for it.
        runtimes: In the order of preference.
        precisions: Those worth building, in the order of preference.
        formats: Model files that go into a bundle.
        power_modes: The first is the one to measure in.
        latency_budget_ms: Longest time for one cell, from uint8 pixels to a probability.
        trt_proof_sms: Compute capabilities (without the dot) for which the graph is built ahead
            of time as a proof that it is legal; never an engine for the device.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    aliases: tuple[str, ...] = ()
    title: str
    kind: Literal["jetson", "pi", "x86"]
    runtimes: tuple[Runtime, ...] = Field(min_length=1)
    precisions: tuple[Precision, ...] = Field(min_length=1)
    formats: tuple[Format, ...] = Field(min_length=1)
    latency_budget_ms: Figure
    module: Module | None = None
    tensorrt: TensorRTOptions | None = None
    jetpack: tuple[JetPack, ...] = ()
    power_modes: tuple[PowerMode, ...] = ()
    notes: tuple[Note, ...] = ()
    trt_proof_sms: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "Target":
        found = contradictions(self)
        if found:
            raise ValueError("; ".join(found))
        return self


def all_targets() -> tuple[Target, ...]:
    """Every target that ships with the package, sorted by name.

    Raises:
        RecipeError: One of the files is wrong, or two of them claim one name.
    """
    return targets_in(shipped_folder("targets"))


def targets_in(folder: Path) -> tuple[Target, ...]:
    """Every target of a folder, sorted by name.

    Raises:
        RecipeError: One of the files is wrong, or two of them claim one name.
    """
    owner: dict[str, Path] = {}
    found = []
    for path in sorted(folder.glob("*.toml"), key=lambda path: path.stem):
        target = _read(path)
        for name in (target.name, *target.aliases):
            if name in owner:
                raise RecipeError(
                    f"'{name}' is a name of two targets, {owner[name].name} and {path.name}",
                    where=path,
                    fix="take the alias out of one of them",
                )
            owner[name] = path
        found.append(target)
    return tuple(found)


def load_target(name: str) -> Target:
    """The target with this name or alias, or of this file if the name ends in ``.toml``.

    Raises:
        UnknownNameError: With the nearest name and the list.
        RecipeError: The file is wrong.
    """
    if name.endswith(".toml"):
        return _read(Path(name))
    by_name = {
        alias: target for target in all_targets() for alias in (target.name, *target.aliases)
    }
    return by_name[known_name("target", name, by_name)]


def _read(path: Path) -> Target:
    target = read_toml(path, Target)
    if target.name != path.stem:
        raise RecipeError(
            f"the target calls itself '{target.name}' in a file named '{path.stem}'",
            where=path,
            fix="give the file and the target one name",
        )
    return target
