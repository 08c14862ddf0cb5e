"""What a device writes into a bundle's folder ``engine/``: engines with their sidecars, its choice.

These files are made after the bundle was signed, so the signature does not cover them. Each names
the signed file that it comes from by its hash, and is used only while that hash is still the one in
the manifest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from allnet_edge.artifacts import files
from allnet_edge.artifacts.manifest import Candidate, CandidateId, RelativePath, Sha256
from allnet_edge.errors import IntegrityError, RecipeError
from allnet_edge.spec.base import Frozen, parse
from allnet_edge.spec.gate import Verdict

FOLDER: Final = "engine"
CHOICE: Final = f"{FOLDER}/choice.json"
SUFFIXES: Final = (".engine", ".json", ".cache")

DeviceVerdict = Literal["pass", "fail", "inconclusive", "golden-only"]
"""``golden-only``: only the golden tensors were checked, no gate was asked."""


class GoldenCheck(Frozen):
    """The golden tensors on the device.

    Attributes:
        status: ``match``, ``differ``, or ``not run``.
        largest: Largest absolute difference of a probability.
        tolerance: Largest allowed one.
        why: In words; empty where it matches.
    """

    status: Literal["match", "differ", "not run"]
    largest: float | None = None
    tolerance: float | None = None
    why: str = ""


class EngineRecord(Frozen):
    """The sidecar of one engine.

    Attributes:
        id: Of the candidate that the engine is.
        source: Id of the signed candidate whose graph it was built from.
        file: The engine's file in the bundle.
        onnx_sha256: Of that graph, as in the manifest.
        tensorrt: Version of TensorRT; an engine runs with this one alone.
        cuda: Version of the CUDA runtime.
        l4t: Jetson Linux release; None elsewhere.
        sm: Compute capability, such as ``8.7``; an engine runs on this one alone.
        gpu: Name of the GPU.
        flags: What the builder was told: ``FP16``, ``INT8``, ``SPARSE_WEIGHTS``, ``DLA0``...
        dla_core: The DLA core that it runs on; None for the GPU.
        workspace_mb: Cap of the builder's scratch memory, MiB.
        power_mode: By name; None where there is none or it cannot be read.
        build_seconds: How long the build took.
        created: ISO 8601, UTC.
        golden: The golden tensors.
        verdict: What the gate said on this device.
        latency_ms: ``min``, ``mean``, ``p50``, ... of one query; None where it was not measured.
    """

    schema_version: Literal[1] = 1
    id: CandidateId
    source: CandidateId
    precision: Literal["fp32", "fp16", "int8", "mixed"]
    file: RelativePath
    engine_sha256: Sha256
    onnx_sha256: Sha256
    tensorrt: str
    cuda: str | None
    l4t: str | None
    sm: str
    gpu: str
    flags: tuple[str, ...] = ()
    dla_core: int | None = None
    workspace_mb: int
    power_mode: str | None = None
    build_seconds: float
    created: str
    golden: GoldenCheck = GoldenCheck(status="not run")
    verdict: DeviceVerdict = "golden-only"
    latency_ms: dict[str, float | None] | None = None

    @property
    def sidecar(self) -> str:
        """Path of this record in the bundle."""
        return str(Path(self.file).with_suffix(".json"))


class ChoiceRow(Frozen):
    """One candidate in the device's choice.

    Attributes:
        judged: Where ``verdict`` comes from: the gate on this device, the gate at the build on the
            very same file, or none.
        p50_ms: Median of one query on this device; None where it was not measured.
        why: Why it was chosen, or why it lost.
    """

    id: CandidateId
    engine: str
    precision: str
    golden: GoldenCheck
    verdict: DeviceVerdict
    judged: Literal["on this device", "at the build", "not judged"]
    p50_ms: float | None = None
    why: str


class DeviceChoice(Frozen):
    """``engine/choice.json``: what this device measured and chose.

    Attributes:
        manifest_sha256: Of the bundle's manifest that it is about.
        machine: What it was measured on; see ``measure.system.Machine``.
        power_mode: By name; None where there is none or it cannot be read.
        mode: Length of the benchmark: ``quick``, ``standard``, ``full``.
        remarks: What a reader of the times has to know.
        why_invalid: Why times cannot be trusted, with the candidate's id; empty when they can.
        chosen: Id of the candidate to use; None where none may be.
        order: Ids in which to try them, the chosen one first.
    """

    schema_version: Literal[1] = 1
    created: str
    manifest_sha256: Sha256
    machine: dict[str, object]
    power_mode: str | None = None
    mode: str
    remarks: tuple[str, ...] = ()
    why_invalid: tuple[str, ...] = ()
    chosen: CandidateId | None
    order: tuple[CandidateId, ...]
    rows: tuple[ChoiceRow, ...]


@dataclass(frozen=True, slots=True)
class DeviceFiles:
    """What lies in ``engine/``.

    Attributes:
        engines: Every engine with a sidecar.
        choice: None where the device has not chosen.
        damaged: In words, each file that cannot be used; `allnet-edge compile` writes it anew.
    """

    engines: tuple[EngineRecord, ...] = ()
    choice: DeviceChoice | None = None
    damaged: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The engines, as candidates of the bundle."""
        whys = {row.id: row.why for row in self.choice.rows} if self.choice else {}
        return tuple(
            Candidate(
                id=one.id,
                engine="tensorrt",
                precision=one.precision,
                file=one.file,
                verdict=_verdict(one.verdict),
                why=whys.get(one.id, ""),
            )
            for one in self.engines
        )


def read_device_files(root: Path, hashes: Mapping[str, str]) -> DeviceFiles:
    """Read ``engine/``; what is damaged is told, not raised, so that `compile` can mend it.

    Args:
        root: Folder of the bundle.
        hashes: The signed files, which are not the device's.
    """
    engines: list[EngineRecord] = []
    choice: DeviceChoice | None = None
    damaged: list[str] = []
    for path in sorted((root / FOLDER).glob("*.json")):
        name = f"{FOLDER}/{path.name}"
        if name in hashes:
            continue
        try:
            if name == CHOICE:
                choice = parse(files.read_json(path), DeviceChoice, where=path)
            else:
                engines.append(_engine(root, path))
        except (IntegrityError, RecipeError) as error:
            damaged.append(f"{name}: {error.what}")
    return DeviceFiles(tuple(engines), choice, tuple(damaged))


def _engine(root: Path, path: Path) -> EngineRecord:
    record = parse(files.read_json(path), EngineRecord, where=path)
    if f"{FOLDER}/{path.name}" != record.sidecar:
        raise IntegrityError(f"is the sidecar of {record.file}, not of this one")
    if not (root / record.file).is_file():
        raise IntegrityError(f"its engine {record.file} is missing")
    return record


def _verdict(verdict: DeviceVerdict) -> Verdict | None:
    """Only a gate gives a verdict."""
    return None if verdict == "golden-only" else verdict


def dla_core_of(engine: Path) -> int | None:
    """The DLA core that an engine file was built for, by its sidecar; None for the GPU.

    Raises:
        IntegrityError: The sidecar is damaged.
    """
    sidecar = engine.with_suffix(".json")
    if not sidecar.is_file():
        return None
    try:
        return parse(files.read_json(sidecar), EngineRecord, where=sidecar).dla_core
    except RecipeError as error:
        raise IntegrityError(error.what, where=sidecar) from error


def is_device_file(name: str) -> bool:
    """Whether a path in a bundle is one that a device may have written."""
    path = Path(name)
    return str(path.parent) == FOLDER and (
        path.suffix in SUFFIXES or files.is_temporary(path)  # the leftover of a killed compile
    )
