"""The part of the CUDA runtime that an engine needs, through ctypes: no package to install.

Functions of the library are told apart by their presence, never by a version.
"""

import contextlib
import ctypes
import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from allnet_edge.errors import EnvironmentMismatch

NO_DRIVER = frozenset({35, 100})  # cudaErrorInsufficientDriver, cudaErrorNoDevice
OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation
_MAJOR, _MINOR = 75, 76  # cudaDevAttrComputeCapabilityMajor and -Minor
_TO_DEVICE, _TO_HOST = 1, 2  # cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost
THREAD_LOCAL = 1  # cudaStreamCaptureModeThreadLocal
_PORTABLE = 1  # cudaHostAllocPortable
_EXTERNAL = 1  # cudaEventRecordExternal
_NAME_BYTES, _PROPERTIES_BYTES = 256, 8192  # the struct opens with the name in every version

# The CUDA toolkit and JetPack install the first; the others come without their headers.
_NAMES = ("libcudart.so", "libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0")
_FOLDERS = ("/usr/local/cuda/lib64", "/usr/local/cuda/targets/aarch64-linux/lib")
_PACKAGES = ("nvidia.cu13", "nvidia.cuda_runtime")  # wheels that bring it

# Argument types by function; every function returns an error code. Pointers are void pointers.
_POINTER, _INT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
SIGNATURES = {
    "cudaGetDeviceCount": (_POINTER,),
    "cudaDeviceGetAttribute": (_POINTER, _INT, _INT),
    "cudaGetDeviceProperties": (_POINTER, _INT),
    "cudaRuntimeGetVersion": (_POINTER,),
    "cudaDriverGetVersion": (_POINTER,),
    "cudaMemGetInfo": (_POINTER, _POINTER),
    "cudaMalloc": (_POINTER, _SIZE),
    "cudaFree": (_POINTER,),
    "cudaHostAlloc": (_POINTER, _SIZE, ctypes.c_uint),
    "cudaFreeHost": (_POINTER,),
    "cudaMemcpyAsync": (_POINTER, _POINTER, _SIZE, _INT, _POINTER),
    "cudaStreamCreate": (_POINTER,),
    "cudaStreamSynchronize": (_POINTER,),
    "cudaStreamDestroy": (_POINTER,),
    "cudaEventCreate": (_POINTER,),
    "cudaEventRecordWithFlags": (_POINTER, _POINTER, ctypes.c_uint),
    "cudaEventElapsedTime": (_POINTER, _POINTER, _POINTER),
    "cudaEventDestroy": (_POINTER,),
}
GRAPH_SIGNATURES = {
    "cudaStreamBeginCapture": (_POINTER, _INT),
    "cudaStreamEndCapture": (_POINTER, _POINTER),
    "cudaGraphInstantiateWithFlags": (_POINTER, _POINTER, ctypes.c_ulonglong),
    "cudaGraphLaunch": (_POINTER, _POINTER),
    "cudaGraphDestroy": (_POINTER,),
    "cudaGraphExecDestroy": (_POINTER,),
    "cudaGetLastError": (),
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU that CUDA sees.

    Attributes:
        sm: Compute capability, such as ``8.7``.
        runtime: Version of the CUDA runtime, such as ``12.6``.
        driver: Newest CUDA version that the driver serves.
        free_mb: Memory free now, MiB; on a Jetson the processor's memory is the same.
        total_mb: Memory, MiB.
    """

    name: str
    sm: str
    runtime: str
    driver: str
    free_mb: int
    total_mb: int


class Cuda:
    """The CUDA runtime.

    Args:
        library: ``libcudart``.

    Raises:
        EnvironmentMismatch: It lacks a function.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        for name, arguments in SIGNATURES.items():
            if not _declare(library, name, arguments):
                raise EnvironmentMismatch(
                    f"this CUDA runtime has no {name}", fix="install the CUDA of your JetPack"
                )
        declared = [_declare(library, name, a) for name, a in GRAPH_SIGNATURES.items()]
        self.has_graphs = all(declared)
        library.cudaGetErrorString.argtypes = (_INT,)
        library.cudaGetErrorString.restype = ctypes.c_char_p

    @classmethod
    def load(cls, candidates: Iterable[str] | None = None) -> "Cuda":
        """The first library that loads.

        Args:
            candidates: Names or paths to try; those of JetPack, the toolkit and the wheels if None.

        Raises:
            EnvironmentMismatch: None of them does.
        """
        for name in _candidates() if candidates is None else candidates:
            with contextlib.suppress(OSError):
                return cls(ctypes.CDLL(name))
        raise EnvironmentMismatch(
            "this machine has no CUDA runtime (libcudart)",
            fix="on a Jetson install it with JetPack: sudo apt install nvidia-jetpack; a machine "
            "without an NVIDIA GPU uses other runtimes: --runtimes onnx,litert",
        )

    def call(self, name: str, *arguments: object) -> None:
        """Call a function of the library.

        Raises:
            EnvironmentMismatch: It returned an error; its name is in the message.
        """
        code = getattr(self._library, name)(*arguments)
        if code:
            raise self._error(name, code)

    def forget_error(self) -> None:
        """Take back the last error, which later calls would report again."""
        self._library.cudaGetLastError()

    def gpu(self) -> Gpu:
        """Look at the first GPU.

        Raises:
            EnvironmentMismatch: No driver, or no GPU.
        """
        count = ctypes.c_int(0)
        self.call("cudaGetDeviceCount", ctypes.byref(count))
        if not count.value:
            raise self._error("cudaGetDeviceCount", 100)
        free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
        self.call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return Gpu(
            name=self._gpu_name(),
            sm=f"{self._attribute(_MAJOR)}.{self._attribute(_MINOR)}",
            runtime=self._version("cudaRuntimeGetVersion"),
            driver=self._version("cudaDriverGetVersion"),
            free_mb=free.value >> 20,
            total_mb=total.value >> 20,
        )

    def _attribute(self, which: int) -> int:
        value = ctypes.c_int(0)
        self.call("cudaDeviceGetAttribute", ctypes.byref(value), which, 0)
        return value.value

    def _version(self, function: str) -> str:
        value = ctypes.c_int(0)
        self.call(function, ctypes.byref(value))
        return f"{value.value // 1000}.{value.value % 1000 // 10}"

    def _gpu_name(self) -> str:
        properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
        self.call("cudaGetDeviceProperties", properties, 0)
        return properties.raw[:_NAME_BYTES].partition(b"\0")[0].decode(errors="replace")

    def _error(self, function: str, code: int) -> EnvironmentMismatch:
        text = (self._library.cudaGetErrorString(code) or b"unknown error").decode()
        if code in NO_DRIVER:
            return EnvironmentMismatch(
                f"this machine has no NVIDIA GPU that CUDA can use: {text}",
                fix="run this on the device, or use other runtimes: --runtimes onnx,litert",
            )
        if code == OUT_OF_MEMORY:
            return EnvironmentMismatch(
                f"the GPU has too little free memory ({function}: {text})",
                fix="close other programs; on a Jetson a desktop session takes 0.8 GB",
            )
        return EnvironmentMismatch(
            f"CUDA refused {function}: {text} (error {code})",
            fix="restart the device and try again",
        )


@contextmanager
def host_memory(cuda: Cuda, size: int) -> Iterator[ctypes.c_void_p]:
    """Pinned memory of the processor, in bytes: the GPU copies from and to it by itself."""
    pointer = ctypes.c_void_p()
    cuda.call("cudaHostAlloc", ctypes.byref(pointer), size, _PORTABLE)
    try:
        yield pointer
    finally:
        cuda.call("cudaFreeHost", pointer)


@contextmanager
def device_memory(cuda: Cuda, size: int) -> Iterator[ctypes.c_void_p]:
    """Memory of the GPU, in bytes."""
    pointer = ctypes.c_void_p()
    cuda.call("cudaMalloc", ctypes.byref(pointer), size)
    try:
        yield pointer
    finally:
        cuda.call("cudaFree", pointer)


class Stream:
    """A queue of work on the GPU; use ``with open_stream(cuda) as stream``."""

    def __init__(self, cuda: Cuda, handle: ctypes.c_void_p) -> None:
        self._cuda, self.handle = cuda, handle

    def to_device(self, device: ctypes.c_void_p, host: ctypes.c_void_p, size: int) -> None:
        """Queue a copy from pinned memory to the GPU."""
        self._cuda.call("cudaMemcpyAsync", device, host, size, _TO_DEVICE, self.handle)

    def to_host(self, host: ctypes.c_void_p, device: ctypes.c_void_p, size: int) -> None:
        """Queue a copy from the GPU to pinned memory."""
        self._cuda.call("cudaMemcpyAsync", host, device, size, _TO_HOST, self.handle)

    def wait(self) -> None:
        """Until all that was queued is done."""
        self._cuda.call("cudaStreamSynchronize", self.handle)

    def record(self, event: ctypes.c_void_p, *, recorded: bool = False) -> None:
        """Note the time when the work before it is done.

        Args:
            event: Where to note it.
            recorded: While a graph is recorded: note it at each launch of the graph.
        """
        flags = _EXTERNAL if recorded else 0
        self._cuda.call("cudaEventRecordWithFlags", event, self.handle, flags)


@contextmanager
def open_stream(cuda: Cuda) -> Iterator[Stream]:
    """A stream, destroyed at the end."""
    handle = ctypes.c_void_p()
    cuda.call("cudaStreamCreate", ctypes.byref(handle))
    try:
        yield Stream(cuda, handle)
    finally:
        cuda.call("cudaStreamDestroy", handle)


@contextmanager
def open_event(cuda: Cuda) -> Iterator[ctypes.c_void_p]:
    """A mark in a stream; between two of them the GPU's own clock tells the time."""
    event = ctypes.c_void_p()
    cuda.call("cudaEventCreate", ctypes.byref(event))
    try:
        yield event
    finally:
        cuda.call("cudaEventDestroy", event)


def elapsed_ms(cuda: Cuda, begin: ctypes.c_void_p, end: ctypes.c_void_p) -> float:
    """Milliseconds between two recorded marks; the second one must be reached."""
    value = ctypes.c_float(0)
    cuda.call("cudaEventElapsedTime", ctypes.byref(value), begin, end)
    return value.value


def _declare(library: ctypes.CDLL, name: str, arguments: tuple[type, ...]) -> bool:
    function = getattr(library, name, None)
    if function is None:
        return False
    function.argtypes, function.restype = arguments, ctypes.c_int
    return True


def _candidates() -> Iterator[str]:
    yield from _NAMES
    for folder in _FOLDERS:
        yield f"{folder}/libcudart.so"
    for package in _PACKAGES:
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:  # the parent package is not there
            continue
        for root in spec.submodule_search_locations or () if spec else ():
            yield from map(str, sorted(Path(root).glob("lib/libcudart.so*")))
