"""ONNX -> TensorRT engine, with TensorRT or TensorRT-RTX: the same builder interface.

On a host without a GPU TensorRT-RTX still parses and builds ahead of time. What comes out proves
that the graph is legal and buildable. It is NOT an engine for a Jetson and is never called one:
TensorRT-RTX has no SM 8.7, and engines for a Jetson are built on the Jetson.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Literal, Protocol

from allnet_edge.engines.tensorrt_log import complaints
from allnet_edge.errors import ConversionError, EnvironmentMismatch

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MIB = 1 << 20

# What each precision of a graph asks of a TensorRT that does not take types from the graph (8.x).
# Nothing more is allowed than the graph says, so that one graph means the same in every version.
_FLAGS_OF_PRECISION = MappingProxyType(
    {"fp32": (), "fp16": ("FP16",), "int8": ("INT8",), "mixed": ("INT8",)}
)

BUILDER_ATTRIBUTES = MappingProxyType(
    {
        "": ("Builder", "BuilderFlag", "ILogger", "MemoryPoolType", "OnnxParser"),
        "Builder": ("build_serialized_network", "create_builder_config", "create_network"),
        "OnnxParser": ("get_error", "num_errors", "parse"),
        "ParserError": ("desc",),
        "IBuilderConfig": (
            "clear_flag",
            "create_timing_cache",
            "get_timing_cache",
            "set_flag",
            "set_memory_pool_limit",
            "set_timing_cache",
        ),
        "ITimingCache": ("serialize",),
        "MemoryPoolType": ("WORKSPACE",),
    }
)
"""Of the module (under an empty name) and of its classes: what no build does without."""

BUILDER_OPTIONAL = MappingProxyType(
    {
        "": ("DeviceType", "NetworkDefinitionCreationFlag"),
        "Builder": ("num_DLA_cores",),
        "BuilderFlag": ("FP16", "GPU_FALLBACK", "INT8", "SPARSE_WEIGHTS", "TF32"),
        "DeviceType": ("DLA",),
        "IBuilderConfig": ("DLA_core", "default_device_type"),
        "NetworkDefinitionCreationFlag": ("EXPLICIT_BATCH", "STRONGLY_TYPED"),
        "ParserError": ("node_name", "node_operator"),
    }
)
"""Used where it is there."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How an engine for the GPU of this machine is built.

    Attributes:
        precision: Of the graph.
        workspace_mb: Cap of the builder's scratch memory, MiB; None leaves it to TensorRT.
        sparse: Let it use 2:4 sparse kernels.
        dla_core: Build for this DLA core, with the GPU for the layers that it cannot do.
        timing_cache: Of an earlier build on this device; None builds without one, empty begins one.
    """

    precision: Literal["fp32", "fp16", "int8", "mixed"]
    workspace_mb: int | None = None
    sparse: bool = False
    dla_core: int | None = None
    timing_cache: bytes | None = None


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """An engine and how it was made.

    Attributes:
        flags: What the builder was told.
        timing_cache: To be given to the next build; None if none was given.
    """

    engine: bytes
    flags: tuple[str, ...]
    timing_cache: bytes | None


class EngineBuilder:
    """Builds engines with one version of TensorRT.

    Args:
        trt: ``tensorrt`` or ``tensorrt_rtx``.
    """

    def __init__(self, trt: ModuleType) -> None:
        self._trt = trt
        self._told = complaints(trt)

    def build(
        self, graph: Path, options: BuildOptions | None = None, *, sm: int | None = None
    ) -> BuiltEngine:
        """Build an engine.

        Args:
            graph: An ONNX file.
            options: How; as for a float32 graph if None.
            sm: Compute capability without the dot, for a build ahead of time, which TensorRT-RTX
                can do without a GPU; None builds for the GPU of this machine.

        Raises:
            ConversionError: The graph does not parse or build (the first reason that TensorRT
                gave), or this version cannot build for ``sm``.
            EnvironmentMismatch: A DLA core that this device does not have.
        """
        options = options or BuildOptions("fp32")
        builder, network = self._parsed(graph)
        config = builder.create_builder_config()
        flags = _configure(self._trt, builder, config, options)
        if sm is not None:
            config.num_compute_capabilities = 1
            config.set_compute_capability(_capability(self._trt, sm), 0)
        cache = _cache_in(config, options.timing_cache)
        engine = self._built(builder, network, config, graph)
        return BuiltEngine(engine, flags, _cache_out(config) if cache else None)

    def _parsed(self, graph: Path) -> tuple["_Builder", object]:
        self._told.clear()
        builder = self._trt.Builder(self._told.logger)
        network = builder.create_network(_network_flags(self._trt))
        parser = self._trt.OnnxParser(network, self._told.logger)
        if not parser.parse(graph.read_bytes()):
            reason = _parse_error(parser) or self._told.first
            raise ConversionError(f"TensorRT cannot parse the graph: {reason}", where=graph)
        return builder, network

    def _built(self, builder: "_Builder", network: object, config: object, graph: Path) -> bytes:
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise ConversionError(
                f"TensorRT cannot build the graph: {self._told.first}", where=graph
            )
        return bytes(engine)


def _configure(
    trt: ModuleType, builder: "_Builder", config: "_Config", options: BuildOptions
) -> tuple[str, ...]:
    """Tell the builder, and return what it was told."""
    told = [name for name in _precision_flags(trt, options.precision) if _set(trt, config, name)]
    # TF32 is on by default and keeps 10 bits of a float32: no engine of it could be called fp32.
    if hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)
    if options.sparse and _set(trt, config, "SPARSE_WEIGHTS"):
        told.append("SPARSE_WEIGHTS")
    if options.workspace_mb is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mb * _MIB)
    if options.dla_core is not None:
        told += _for_dla(trt, builder, config, options.dla_core)
    return tuple(told)


def _precision_flags(trt: ModuleType, precision: str) -> tuple[str, ...]:
    """None where the types come from the graph: there the flags are refused, or gone."""
    flags = getattr(trt, "NetworkDefinitionCreationFlag", None)
    typed = hasattr(flags, "STRONGLY_TYPED") or not hasattr(trt.BuilderFlag, "FP16")
    return () if typed else _FLAGS_OF_PRECISION[precision]


def _set(trt: ModuleType, config: "_Config", name: str) -> bool:
    flag = getattr(trt.BuilderFlag, name, None)
    if flag is None:
        return False
    config.set_flag(flag)
    return True


def _for_dla(trt: ModuleType, builder: "_Builder", config: "_Config", core: int) -> list[str]:
    there = getattr(builder, "num_DLA_cores", 0)
    if core >= there or not hasattr(trt.DeviceType, "DLA"):
        raise EnvironmentMismatch(
            f"this device has {there} DLA cores, so that there is no core {core}",
            fix="leave --dla out",
        )
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    return [f"DLA{core}", *(["GPU_FALLBACK"] if _set(trt, config, "GPU_FALLBACK") else [])]


def _cache_in(config: "_Config", earlier: bytes | None) -> bool:
    """Give the builder what earlier builds measured; one that it does not take is begun anew."""
    if earlier is None:
        return False
    cache = config.create_timing_cache(earlier) or config.create_timing_cache(b"")
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)
    return True


def _cache_out(config: "_Config") -> bytes | None:
    with suppress(AttributeError):  # no cache: nothing to serialize
        return bytes(config.get_timing_cache().serialize())
    return None


class _Builder(Protocol):
    def create_builder_config(self) -> "_Config": ...
    def build_serialized_network(self, network: object, config: object, /) -> "Buffer | None": ...


class _Cache(Protocol):
    def serialize(self) -> bytes: ...


class _Config(Protocol):
    num_compute_capabilities: int
    default_device_type: object
    DLA_core: int

    def set_compute_capability(self, capability: object, index: int, /) -> object: ...
    def set_flag(self, flag: object, /) -> None: ...
    def clear_flag(self, flag: object, /) -> None: ...
    def set_memory_pool_limit(self, pool: object, size: int, /) -> None: ...
    def create_timing_cache(self, data: bytes, /) -> _Cache | None: ...
    def set_timing_cache(self, cache: object, ignore_mismatch: bool, /) -> bool: ...
    def get_timing_cache(self) -> _Cache: ...


class _ParserError(Protocol):
    def desc(self) -> str: ...


class _Parser(Protocol):
    @property
    def num_errors(self) -> int: ...
    def get_error(self, index: int, /) -> _ParserError: ...


def _parse_error(parser: _Parser) -> str | None:
    """The first error; the newer versions name its node and operator."""
    if not parser.num_errors:
        return None
    error = parser.get_error(0)
    named = [
        text
        for name in ("node_name", "node_operator")
        if (read := getattr(error, name, None)) and (text := read())
    ]
    return f"{error.desc()} ({', '.join(named)})" if named else str(error.desc())


def _capability(trt: ModuleType, sm: int) -> object:
    known = trt.ComputeCapability.__members__
    if f"SM{sm}" not in known:
        raise ConversionError(
            f"TensorRT-RTX {trt.__version__} cannot build for SM {sm / 10:.1f}",
            fix=f"it knows: {', '.join(sorted(name for name in known if name.startswith('SM')))}",
        )
    return known[f"SM{sm}"]


def _network_flags(trt: ModuleType) -> int:
    """Precision comes from the graph where the version knows that; told apart by feature."""
    flags = getattr(trt, "NetworkDefinitionCreationFlag", None)
    found = 0
    for name in ("EXPLICIT_BATCH", "STRONGLY_TYPED"):
        flag = getattr(flags, name, None)
        if flag is not None:
            found |= 1 << int(flag)
    return found
