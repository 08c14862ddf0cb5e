"""CUDA graphs: work that was queued once and is launched again with one call."""

import ctypes
from collections.abc import Callable

from allnet_edge.engines.cuda import THREAD_LOCAL, Cuda, Stream
from allnet_edge.errors import EnvironmentMismatch


class CudaGraph:
    """Recorded work; ``release`` it."""

    def __init__(self, cuda: Cuda, handle: ctypes.c_void_p) -> None:
        self._cuda, self._handle = cuda, handle

    def launch(self, stream: Stream) -> None:
        """Queue the recorded work."""
        self._cuda.call("cudaGraphLaunch", self._handle, stream.handle)

    def release(self) -> None:
        """Free it."""
        self._cuda.call("cudaGraphExecDestroy", self._handle)


def capture(cuda: Cuda, stream: Stream, queue: Callable[[], None]) -> CudaGraph | None:
    """Record what ``queue`` puts into the stream, without doing it.

    Returns:
        None where this CUDA has no graphs, or where the work cannot be recorded (a DLA, a layer
        that waits for the processor): it is then queued anew each time.
    """
    if not cuda.has_graphs:
        return None
    graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
    try:
        cuda.call("cudaStreamBeginCapture", stream.handle, THREAD_LOCAL)
        try:
            queue()
        finally:  # also where it failed: a stream that is left capturing can do nothing else
            cuda.call("cudaStreamEndCapture", stream.handle, ctypes.byref(graph))
        cuda.call("cudaGraphInstantiateWithFlags", ctypes.byref(ready), graph, 0)
    except EnvironmentMismatch:
        cuda.forget_error()
        return None
    finally:
        if graph.value:
            cuda.call("cudaGraphDestroy", graph)
    return CudaGraph(cuda, ready)
