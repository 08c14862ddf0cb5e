"""Engines of TensorRT 8.5 to 11, and of TensorRT-RTX, through one I/O path: named tensors.

Which functions are there is asked with hasattr, never read from a version. ``ATTRIBUTES`` lists
every one that is used; benchmarks/trt_conformance.py finds each in the real bindings.
"""

import ctypes
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType

import numpy as np
from numpy.typing import NDArray

from allnet_edge.engines.base import Images, SingleImageRunner
from allnet_edge.engines.cuda import (
    Cuda,
    device_memory,
    elapsed_ms,
    host_memory,
    open_event,
    open_stream,
)
from allnet_edge.engines.cuda_graph import CudaGraph, capture
from allnet_edge.engines.tensorrt_log import complaints
from allnet_edge.errors import (
    ConversionError,
    DeviceMismatchError,
    EnvironmentMismatch,
    IntegrityError,
)
from allnet_edge.measure.queries import CopyTimes

ATTRIBUTES = MappingProxyType(
    {
        "": ("__version__", "DataType", "ILogger", "Runtime", "TensorIOMode"),
        "ILogger": ("ERROR", "INTERNAL_ERROR"),
        "Runtime": ("deserialize_cuda_engine",),
        "TensorIOMode": ("INPUT",),
        "DataType": ("FLOAT", "HALF"),
        "ICudaEngine": (
            "create_execution_context",
            "get_tensor_dtype",
            "get_tensor_mode",
            "get_tensor_name",
            "get_tensor_shape",
            "num_io_tensors",
        ),
        "IExecutionContext": ("execute_async_v3", "set_tensor_address"),
    }
)
"""Of the module (under an empty name) and of its classes: what no engine runs without."""

OPTIONAL = MappingProxyType({"DataType": ("UINT8",), "Runtime": ("DLA_core",)})
"""Used where it is there."""

_COMPILE = "make it anew on this device: allnet-edge compile BUNDLE"


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of an engine.

    Attributes:
        shape: With the batch.
        dtype: As numpy has it.
    """

    name: str
    is_input: bool
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def nbytes(self) -> int:
        """Its size."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


class TensorRtRunner(SingleImageRunner):
    """Runs an ``.engine`` file; see ``Runner``. The input may be uint8 or float (pixels as 0..255).

    Args:
        path: The engine.
        trt: ``tensorrt`` or ``tensorrt_rtx``.
        threads: Told to who asks; the GPU does the work.
        cuda: The CUDA runtime; found on enter if None.
        dla_core: The DLA core that the engine was built for.
        graph: Record the work of one query once and launch it with one call, where that goes.

    Raises:
        EnvironmentMismatch: On enter: no GPU, too little memory, or a TensorRT without named
            tensors.
        DeviceMismatchError: On enter: TensorRT does not load the engine: it was made by another
            version or for another GPU, or it is damaged.
        ConversionError: On enter: not one image in and one output, of static shape.
    """

    engine = "tensorrt"

    def __init__(
        self,
        path: Path,
        trt: ModuleType,
        threads: int | None = None,
        *,
        cuda: Cuda | None = None,
        dla_core: int | None = None,
        graph: bool = True,
    ) -> None:
        super().__init__(path, threads)
        self._trt, self._cuda, self._dla, self._wants_graph = trt, cuda, dla_core, graph
        self._stack = ExitStack()
        self._graph: CudaGraph | None = None

    @property
    def uses_graph(self) -> bool:
        """Whether a query is one launch of recorded work; known while active."""
        return self._graph is not None

    def copy_times(self) -> CopyTimes:
        """Where the last ``infer`` spent its time, by the GPU's own clock; see ``TimesCopies``."""
        pairs = zip(self._marks, self._marks[1:], strict=False)
        milliseconds = [elapsed_ms(self._runtime, begin, end) for begin, end in pairs]
        return CopyTimes(*(round(value * 1e6) for value in milliseconds))

    def _activate(self) -> tuple[int, ...]:
        require_attributes(self._trt)
        try:
            with ExitStack() as stack:
                shape = self._prepare(stack)
                self._stack = stack.pop_all()
        except BaseException:
            self._release()
            raise
        return shape

    def _prepare(self, stack: ExitStack) -> tuple[int, ...]:
        """Load the engine, take memory, and record the work of a query."""
        self._runtime = cuda = self._cuda or Cuda.load()
        cuda.gpu()  # says in plain words that there is none
        self._loaded, engine = load_engine(self._trt, self.path, self._dla)
        source, result = self._tensors(engine)
        self._engine = engine
        self._context = engine.create_execution_context()  # type: ignore[attr-defined]
        if self._context is None:
            raise EnvironmentMismatch(
                f"TensorRT cannot prepare the engine: {complaints(self._trt).first}",
                where=self.path,
                fix="close other programs: there may be too little memory",
            )
        self._stream = stack.enter_context(open_stream(cuda))
        self._source, self._result = source, result
        self._host_in, self._pixels = _pinned(stack, cuda, source)
        self._host_out, self._output = _pinned(stack, cuda, result)
        self._device_in = stack.enter_context(device_memory(cuda, source.nbytes))
        self._device_out = stack.enter_context(device_memory(cuda, result.nbytes))
        self._context.set_tensor_address(source.name, self._device_in.value)
        self._context.set_tensor_address(result.name, self._device_out.value)
        self._marks = [stack.enter_context(open_event(cuda)) for _ in range(4)]
        self._pixels[...] = 0
        self._queue()  # TensorRT sets up late what cannot be done while work is recorded
        self._stream.wait()
        if self._wants_graph:
            self._graph = capture(cuda, self._stream, lambda: self._queue(recorded=True))
        if self._graph is not None:
            stack.callback(self._graph.release)
        return source.shape

    def _tensors(self, engine: object) -> tuple[Tensor, Tensor]:
        tensors = tensors_of(self._trt, engine, self.path)
        sources = [one for one in tensors if one.is_input]
        results = [one for one in tensors if not one.is_input]
        if len(sources) != 1 or len(results) != 1:
            raise ConversionError(
                f"the engine has {len(sources)} inputs and {len(results)} outputs, not one each",
                where=self.path,
            )
        if any(side < 1 for one in tensors for side in one.shape):
            raise ConversionError(
                "the engine's shapes are not static", where=self.path, fix="export with batch 1"
            )
        return sources[0], results[0]

    def _queue(self, *, recorded: bool = False) -> None:
        """The work of one query, with a mark before, between and after its parts."""
        stream, marks = self._stream, self._marks
        stream.record(marks[0], recorded=recorded)
        stream.to_device(self._device_in, self._host_in, self._source.nbytes)
        stream.record(marks[1], recorded=recorded)
        if not self._context.execute_async_v3(stream.handle.value):
            raise EnvironmentMismatch(
                f"TensorRT cannot run the engine: {complaints(self._trt).first}", where=self.path
            )
        stream.record(marks[2], recorded=recorded)
        stream.to_host(self._host_out, self._device_out, self._result.nbytes)
        stream.record(marks[3], recorded=recorded)

    def _infer_one(self, image: Images) -> NDArray[np.floating]:
        np.copyto(self._pixels, image)
        if self._graph is not None:
            self._graph.launch(self._stream)
        else:
            self._queue()
        self._stream.wait()
        return self._output.astype(np.float32)  # a copy: the next query writes over the buffer

    def _release(self) -> None:
        self._stack.close()
        # The context goes before its engine, and the engine before the runtime that loaded it.
        self._graph = self._context = self._engine = self._loaded = None


def require_attributes(trt: ModuleType) -> None:
    """Refuse a TensorRT without named tensors: before 8.5.

    Raises:
        EnvironmentMismatch: Names what it lacks.
    """
    for owner, names in ATTRIBUTES.items():
        holder = getattr(trt, owner, None) if owner else trt
        missing = [name for name in names if not hasattr(holder, name)]
        if missing:
            raise EnvironmentMismatch(
                f"TensorRT {getattr(trt, '__version__', '?')} has no {owner or 'tensorrt'}."
                f"{missing[0]}: allnet-edge needs 8.5 or newer",
                fix="on JetPack 4.6 and 5.1 use engine/build_with_trtexec.sh of the bundle",
            )


def load_engine(trt: ModuleType, path: Path, dla_core: int | None = None) -> tuple[object, object]:
    """Load an engine file into TensorRT; returns the runtime, which must outlive it, and it.

    Raises:
        IntegrityError: The file cannot be read.
        EnvironmentMismatch: TensorRT finds no driver that it can use.
        DeviceMismatchError: TensorRT does not take it.
    """
    told = complaints(trt)
    told.clear()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"cannot read the engine: {error.strerror}", where=path) from error
    runtime = trt.Runtime(told.logger)
    if told.texts:  # TensorRT 10.16 gives a runtime all the same, and crashes when it is used
        raise EnvironmentMismatch(
            f"TensorRT {trt.__version__} cannot start: {told.first}",
            fix="install the driver and the CUDA that this TensorRT belongs to",
        )
    if dla_core is not None and hasattr(runtime, "DLA_core"):
        runtime.DLA_core = dla_core
    engine: object = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise DeviceMismatchError(
            f"TensorRT {trt.__version__} cannot load this engine: {told.first}",
            where=path,
            fix=_COMPILE,
        )
    return runtime, engine


def tensors_of(trt: ModuleType, engine: object, path: Path) -> list[Tensor]:
    """The inputs and outputs of an engine.

    Raises:
        ConversionError: A tensor of a type that is no image and no probability.
    """
    types: dict[object, np.dtype[np.generic]] = {
        trt.DataType.FLOAT: np.dtype(np.float32),
        trt.DataType.HALF: np.dtype(np.float16),
    }
    if hasattr(trt.DataType, "UINT8"):
        types[trt.DataType.UINT8] = np.dtype(np.uint8)
    found = []
    for number in range(engine.num_io_tensors):  # type: ignore[attr-defined]
        name = engine.get_tensor_name(number)  # type: ignore[attr-defined]
        dtype = engine.get_tensor_dtype(name)  # type: ignore[attr-defined]
        if dtype not in types:
            raise ConversionError(
                f"the engine's tensor {name} is {dtype}, not uint8, float32 or float16", where=path
            )
        mode = engine.get_tensor_mode(name)  # type: ignore[attr-defined]
        shape = tuple(int(side) for side in engine.get_tensor_shape(name))  # type: ignore[attr-defined]
        found.append(Tensor(name, mode == trt.TensorIOMode.INPUT, shape, types[dtype]))
    return found


def _pinned(
    stack: ExitStack, cuda: Cuda, tensor: Tensor
) -> tuple[ctypes.c_void_p, NDArray[np.generic]]:
    """Pinned memory for a tensor, and the array that lies in it."""
    pointer = stack.enter_context(host_memory(cuda, tensor.nbytes))
    raw = (ctypes.c_ubyte * tensor.nbytes).from_address(pointer.value or 0)
    array: NDArray[np.generic] = np.ndarray(tensor.shape, tensor.dtype, buffer=memoryview(raw))
    return pointer, array
