# ruff: noqa: ARG002, N815  # the signatures and the names are TensorRT's
"""A stand-in for TensorRT's Python module, for the half that needs a driver.

It has the attributes that the package lists (``ATTRIBUTES``, ``BUILDER_ATTRIBUTES`` and the
optional ones), which benchmarks/trt_conformance.py finds in the real bindings, and no other: code
that used another one would fail here. An "engine" is the ONNX graph behind a header; ONNX Runtime
computes it, from and to the addresses that were set, when the stream gets there.
"""

import ctypes
import hashlib
import json
import struct
import types

import numpy as np
import onnxruntime

MAGIC = b"stand-in engine\n"


class Complaining:
    """What the classes of one module share: its version, its GPU, its CUDA runtime."""

    def __init__(self, version: str, sm: str, cudart: ctypes.CDLL) -> None:
        self.version, self.sm, self.cudart = version, sm, cudart
        self.refuse: set[str] = set()  # graphs that do not build, by a word in their bytes
        self.built: list[tuple[str, ...]] = []  # the flags of each build
        self.no_driver = False  # as TensorRT 10.16 has it: a complaint, and a runtime all the same
        self.caches: list[bytes] = []  # the timing caches that builds were given


def make(version: str, cudart: ctypes.CDLL, sm: str = "8.7") -> types.ModuleType:
    """A module named ``tensorrt``."""
    shared = Complaining(version, sm, cudart)
    module = types.ModuleType("tensorrt")
    old = version.startswith("8.")

    class ILogger:
        ERROR, INTERNAL_ERROR = "error", "internal error"

    class TensorIOMode:
        INPUT, OUTPUT = "input", "output"

    class DataType:
        FLOAT, HALF, UINT8 = "float", "half", "uint8"

    class BuilderFlag:
        TF32, SPARSE_WEIGHTS, GPU_FALLBACK = "TF32", "SPARSE_WEIGHTS", "GPU_FALLBACK"

    class NetworkDefinitionCreationFlag:
        EXPLICIT_BATCH = 0

    if old:
        BuilderFlag.FP16, BuilderFlag.INT8 = "FP16", "INT8"
    else:
        NetworkDefinitionCreationFlag.STRONGLY_TYPED = 1

    class MemoryPoolType:
        WORKSPACE = "workspace"

    class DeviceType:
        GPU, DLA = "gpu", "dla"

    class ITimingCache:
        def __init__(self, data: bytes) -> None:
            self._data = data

        def serialize(self) -> bytes:
            return self._data

    class IBuilderConfig:
        def __init__(self) -> None:
            self._flags, self._cache, self.told = {"TF32"}, None, {}
            self.default_device_type, self.DLA_core = "gpu", -1

        def set_flag(self, flag: str) -> None:
            self._flags.add(flag)

        def clear_flag(self, flag: str) -> None:
            self._flags.discard(flag)

        def set_memory_pool_limit(self, pool: str, size: int) -> None:
            self.told[pool] = size

        def create_timing_cache(self, data: bytes) -> ITimingCache | None:
            return ITimingCache(data) if not data or data.startswith(b"cache") else None

        def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
            self._cache = cache
            shared.caches.append(cache.serialize())
            return True

        def get_timing_cache(self) -> ITimingCache:
            return self._cache

    class Network:
        def __init__(self, flags: int) -> None:
            self.flags, self.graph = flags, b""

    class ParserError:
        def desc(self) -> str:
            return "no such operator"

    class OnnxParser:
        num_errors = 1

        def __init__(self, network: Network, logger: ILogger) -> None:
            self._network = network

        def parse(self, data: bytes) -> bool:
            if any(word.encode() in data for word in shared.refuse):
                return False
            self._network.graph = data
            return True

        def get_error(self, index: int) -> ParserError:
            return ParserError()

    class Builder:
        num_DLA_cores = 2

        def __init__(self, logger: ILogger) -> None:
            pass

        def create_network(self, flags: int) -> Network:
            return Network(flags)

        def create_builder_config(self) -> IBuilderConfig:
            return IBuilderConfig()

        def build_serialized_network(self, network: Network, config: IBuilderConfig) -> bytes:
            shared.built.append(tuple(sorted(config._flags)))
            if config._cache is not None:
                config._cache = ITimingCache(b"cache" + network.graph[:8])
            return pack(shared.version, shared.sm, network.graph)

    class IExecutionContext:
        def __init__(self, engine: "ICudaEngine") -> None:
            self._engine, self._addresses = engine, {}
            # The stream calls this when it gets there; ctypes must not free it before.
            self._compute = ctypes.CFUNCTYPE(None)(self._run)

        def set_tensor_address(self, name: str, address: int) -> bool:
            assert isinstance(address, int)
            self._addresses[name] = address
            return True

        def execute_async_v3(self, stream: int) -> bool:
            assert isinstance(stream, int)
            return not shared.cudart.fake_enqueue(ctypes.c_void_p(stream), self._compute)

        def _run(self) -> None:
            session, (source, result) = self._engine.session, self._engine.tensors
            given = at_address(self._addresses[source.name], source.shape, dtype_of(source))
            (found,) = session.run(None, {source.name: given})
            at_address(self._addresses[result.name], result.shape, np.float32)[...] = found

    class ICudaEngine:
        num_io_tensors = 2

        def __init__(self, session: onnxruntime.InferenceSession) -> None:
            self.session = session
            self.tensors = (session.get_inputs()[0], session.get_outputs()[0])

        def _tensor(self, name: str) -> object:
            return next(one for one in self.tensors if one.name == name)

        def get_tensor_name(self, index: int) -> str:
            return self.tensors[index].name

        def get_tensor_mode(self, name: str) -> str:
            return TensorIOMode.INPUT if name == self.tensors[0].name else TensorIOMode.OUTPUT

        def get_tensor_dtype(self, name: str) -> str:
            return DataType.UINT8 if self._tensor(name).type == "tensor(uint8)" else DataType.FLOAT

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return tuple(side if isinstance(side, int) else -1 for side in self._tensor(name).shape)

        def create_execution_context(self) -> IExecutionContext:
            return IExecutionContext(self)

    class Runtime:
        DLA_core = -1

        def __init__(self, logger: ILogger) -> None:
            self._logger = logger
            if shared.no_driver:
                logger.log(ILogger.ERROR, "CUDA initialization failure with error: 35")

        def deserialize_cuda_engine(self, data: bytes) -> ICudaEngine | None:
            assert not shared.no_driver, "the real one crashes here"
            graph, why = unpack(shared.version, shared.sm, data)
            if graph is None:
                self._logger.log(ILogger.ERROR, why)
                return None
            return ICudaEngine(onnxruntime.InferenceSession(graph))

    classes = (
        ILogger, TensorIOMode, DataType, BuilderFlag, NetworkDefinitionCreationFlag,
        MemoryPoolType, DeviceType, ITimingCache, IBuilderConfig, ParserError, OnnxParser,
        Builder, IExecutionContext, ICudaEngine, Runtime,
    )  # fmt: skip
    for one in classes:
        setattr(module, one.__name__, one)
    module.__version__, module.shared = version, shared
    return module


def pack(version: str, sm: str, graph: bytes) -> bytes:
    head = json.dumps({"version": version, "sm": sm, "sha256": _hash(graph)}).encode()
    return MAGIC + struct.pack("<I", len(head)) + head + graph


def unpack(version: str, sm: str, data: bytes) -> tuple[bytes | None, str]:
    start = len(MAGIC) + 4
    if not data.startswith(MAGIC) or len(data) < start:
        return None, "stand-in: the magic tag does not match"
    end = start + struct.unpack("<I", data[len(MAGIC) : start])[0]
    try:
        head = json.loads(data[start:end])
    except ValueError:
        return None, "stand-in: the header is cut"
    if head["version"] != version:
        return None, "stand-in: version tag does not match"
    if head["sm"] != sm:
        return None, "stand-in: the engine is of another compute capability"
    if head["sha256"] != _hash(data[end:]):
        return None, "stand-in: the engine is cut short"
    return data[end:], ""


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def dtype_of(tensor: object) -> type:
    return np.uint8 if tensor.type == "tensor(uint8)" else np.float32


def at_address(address: int, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """The array that lies at an address: a view, nothing is copied."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = (ctypes.c_ubyte * size).from_address(address)
    return np.ndarray(shape, dtype, buffer=memoryview(raw))
