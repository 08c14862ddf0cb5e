"""The engines of a bundle: one for each ONNX graph that the target can use, built on the device."""

import re
import time
from dataclasses import dataclass
from datetime import datetime, timezone

from allnet_edge.artifacts import files
from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.artifacts.device_files import CHOICE, FOLDER, EngineRecord
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.convert.engine_from_onnx import BuildOptions, EngineBuilder
from allnet_edge.device.compile_preflight import Preflight, Probes, preflight
from allnet_edge.engines.tensorrt_fit import why_unfit
from allnet_edge.errors import ConversionError
from allnet_edge.progress import Progress
from allnet_edge.spec.target import Target

CACHE = f"{FOLDER}/timing.cache"
_ON_DLA = frozenset({"fp16", "int8", "mixed"})  # a DLA computes in nothing else


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How engines are built.

    Attributes:
        workspace_mb: Cap of the builder's scratch memory, MiB; the target's if None.
        sparse: Let the builder use 2:4 sparse kernels; as the target says if None.
        dla_core: Build for this DLA core; as the target says if None, not at all if negative.
        power_mode: By name, in which the times are wanted; the target's first if None.
        anew: Build also what an earlier run has built and what still fits.
        probes: How this machine is looked at.
    """

    workspace_mb: int | None = None
    sparse: bool | None = None
    dla_core: int | None = None
    power_mode: str | None = None
    anew: bool = False
    probes: Probes = Probes()  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class Built:
    """What came of it.

    Attributes:
        records: Of the engines that lie in the bundle's folder now.
        refused: Candidates that could not be built, each with the reason.
        power_mode: That the device is in.
        notes: What the preflight found worth telling.
    """

    records: tuple[EngineRecord, ...] = ()
    refused: tuple[tuple[Candidate, str], ...] = ()
    power_mode: str | None = None
    notes: tuple[str, ...] = ()


def build_engines(
    bundle: Bundle, target: Target, settings: EngineSettings, progress: Progress
) -> Built:
    """Build an engine of every ONNX candidate.

    A graph that TensorRT refuses loses with its reason, and the others go on. Each engine lies
    there, with its sidecar, as soon as it is built: a run that is killed is taken up again.

    Raises:
        EnvironmentMismatch: See ``preflight``.
    """
    sources = [one for one in bundle.manifest.candidates if one.engine == "onnx"]
    paths = tuple(bundle.path(one.file) for one in sources)
    checked = preflight(
        bundle,
        target,
        paths,
        workspace_mb=settings.workspace_mb,
        power_mode=settings.power_mode,
        probes=settings.probes,
    )
    bundle.path(FOLDER).mkdir(exist_ok=True)
    bundle.path(CHOICE).unlink(missing_ok=True)  # it may name an engine that is built anew
    maker = _Maker(bundle, target, settings, checked)
    records: list[EngineRecord] = []
    refused: list[tuple[Candidate, str]] = []
    for done, source in enumerate(sources):
        progress("building engines", done, len(sources))
        try:
            records.append(maker.make(source))
        except ConversionError as error:
            refused.append((maker.candidate(source), f"not built: {error.what}"))
    progress("building engines", len(sources), len(sources))
    return Built(tuple(records), tuple(refused), checked.power_mode, checked.notes)


class _Maker:
    """Builds engines on one device, in one way."""

    def __init__(
        self, bundle: Bundle, target: Target, settings: EngineSettings, checked: Preflight
    ) -> None:
        self._bundle, self._settings, self._checked = bundle, settings, checked
        self._builder = EngineBuilder(checked.trt)
        told = target.tensorrt
        self._sparse = (told is not None and told.sparse_weights) or False
        if settings.sparse is not None:
            self._sparse = settings.sparse
        self._dla = 0 if told is not None and told.dla else None
        if settings.dla_core is not None:
            self._dla = settings.dla_core if settings.dla_core >= 0 else None

    def candidate(self, source: Candidate) -> Candidate:
        """The engine as a candidate of the bundle."""
        name = self._name(source)
        return Candidate(
            id=name, engine="tensorrt", precision=source.precision, file=self._file(source)
        )

    def make(self, source: Candidate) -> EngineRecord:
        """The engine of one graph: the one that lies there if it fits, else a new one.

        Raises:
            ConversionError: TensorRT refuses the graph.
        """
        kept = self._kept(source)
        if kept is not None:
            return kept
        checked, began = self._checked, time.monotonic()
        cache = self._bundle.path(CACHE)
        built = self._builder.build(
            self._bundle.path(source.file),
            BuildOptions(
                precision=source.precision,
                workspace_mb=checked.workspace_mb,
                sparse=self._sparse,
                dla_core=self._dla_core(source),
                timing_cache=cache.read_bytes() if cache.is_file() else b"",
            ),
        )
        record = EngineRecord(
            id=self._name(source),
            source=source.id,
            precision=source.precision,
            file=self._file(source),
            engine_sha256=files.sha256_bytes(built.engine),
            onnx_sha256=self._bundle.manifest.files[source.file],
            tensorrt=checked.here.tensorrt,
            cuda=checked.here.gpu.runtime,
            l4t=checked.machine.l4t,
            sm=checked.here.gpu.sm,
            gpu=checked.here.gpu.name,
            flags=built.flags,
            dla_core=self._dla_core(source),
            workspace_mb=checked.workspace_mb,
            power_mode=checked.power_mode,
            build_seconds=round(time.monotonic() - began, 1),
            created=datetime.now(timezone.utc).replace(microsecond=0).isoformat(),
        )
        files.write_bytes(self._bundle.path(record.file), built.engine)
        files.write_json(self._bundle.path(record.sidecar), record.model_dump(mode="json"))
        if built.timing_cache is not None:
            files.write_bytes(cache, built.timing_cache)
        return record

    def _kept(self, source: Candidate) -> EngineRecord | None:
        """An engine of an earlier run that was made in the very same way and still fits."""
        if self._settings.anew:
            return None
        for record in self._bundle.device.engines:
            same = record.id == self._name(source) and record.file == self._file(source)
            limits = (record.workspace_mb, record.power_mode)
            wanted = (self._checked.workspace_mb, self._checked.power_mode)
            if same and limits == wanted:
                return None if why_unfit(self._bundle, record, self._checked.here) else record
        return None

    def _dla_core(self, source: Candidate) -> int | None:
        return self._dla if source.precision in _ON_DLA else None

    def _name(self, source: Candidate) -> str:
        """``onnx-int8`` becomes ``tensorrt-int8``, with what sets it apart behind it."""
        stem = re.sub(r"^onnx(?=[._-])", "tensorrt", source.id)
        stem = stem if stem != source.id else f"tensorrt-{source.id}"
        core = self._dla_core(source)
        return stem + ("-sparse" if self._sparse else "") + ("" if core is None else f"-dla{core}")

    def _file(self, source: Candidate) -> str:
        here = self._checked.here
        version = re.sub(r"[^0-9A-Za-z.]", "-", here.tensorrt)
        sm = here.gpu.sm.replace(".", "")
        return f"{FOLDER}/{self._name(source)}.trt{version}.sm{sm}.{source.precision}.engine"
