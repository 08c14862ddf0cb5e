"""The device that a bundle is made for: one TOML file in targets/, strict, with its sources."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from allnet_edge.errors import RecipeError
from allnet_edge.spec.base import Frozen, known_name, read_toml
from allnet_edge.spec.shipped import shipped_folder

Runtime = Literal["tensorrt", "onnx", "litert"]
Precision = Literal["int8", "mixed", "fp16", "fp32"]
"""``mixed``: int8, but for the layers that it costs too much in."""
Format = Literal["onnx", "tflite"]

FORMATS_OF_RUNTIME: dict[Runtime, Format] = {"tensorrt": "onnx", "onnx": "onnx", "litert": "tflite"}


class Figure(Frozen):
    """A number about a device, with where it comes from."""

    value: float = Field(gt=0)
    source: str = Field(min_length=3)


class Module(Frozen):
    """What the device computes with. The unit is in the name; GPU clocks are the highest ones.

    Attributes:
        sm: CUDA compute capability, such as ``8.7``.
        cpu: Cores in words, such as ``4x Cortex-A76``.
        bandwidth_gb_s: Of the memory, theoretical peak.
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
    """One supported release of the device's system software."""

    version: str
    l4t: str
    cuda: str
    tensorrt: str
    python: str
    ubuntu: str
    source: str = Field(min_length=3)


class PowerMode(Frozen):
    """A power mode, by the name that the device gives it: the numbers differ between boards."""

    name: str
    watts: float | None = Field(default=None, gt=0)
    source: str = Field(min_length=3)


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
    module: Module | None = None
    jetpack: tuple[JetPack, ...] = ()
    power_modes: tuple[PowerMode, ...] = ()
    latency_budget_ms: Figure
    trt_proof_sms: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "Target":
        unread = {FORMATS_OF_RUNTIME[runtime] for runtime in self.runtimes} ^ set(self.formats)
        if unread:
            raise ValueError(f"formats and runtimes do not match: {', '.join(sorted(unread))}")
        if self.kind == "jetson" and not (self.jetpack and self.module and self.module.sm):
            raise ValueError("a jetson needs jetpack rows and the module's sm")
        return self


def all_targets() -> tuple[Target, ...]:
    """Every target that ships with the package, sorted by name.

    Raises:
        RecipeError: One of the files is wrong.
    """
    return tuple(_read(path) for path in sorted(shipped_folder("targets").glob("*.toml")))


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
