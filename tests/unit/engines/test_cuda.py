"""Our ctypes layer over the CUDA runtime: the real path, over a library that keeps CUDA's rules."""

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from allnet_edge.engines.cuda import (
    Cuda,
    device_memory,
    elapsed_ms,
    host_memory,
    open_event,
    open_stream,
)
from allnet_edge.engines.cuda_graph import capture
from allnet_edge.errors import EnvironmentMismatch


def view(pointer: ctypes.c_void_p, size: int) -> np.ndarray:
    raw = (ctypes.c_ubyte * size).from_address(pointer.value)
    return np.ndarray(size, np.uint8, buffer=memoryview(raw))


def test_the_gpu_is_described(gpu):
    found = gpu.cuda.gpu()
    assert (found.name, found.sm, found.runtime, found.driver) == (
        "Stand-in GPU", "8.7", "12.6", "12.8",
    )  # fmt: skip
    assert (found.free_mb, found.total_mb) == (6144, 8192)


class TestCopies:
    def test_bytes_go_to_the_gpu_and_come_back(self, gpu):
        cuda = gpu.cuda
        with host_memory(cuda, 64) as a, host_memory(cuda, 64) as b, device_memory(cuda, 64) as d:
            view(a, 64)[:] = np.arange(64)
            with open_stream(cuda) as stream:
                stream.to_device(d, a, 64)
                stream.to_host(b, d, 64)
                assert not np.array_equal(view(b, 64), np.arange(64)), "nobody has waited yet"
                stream.wait()
            np.testing.assert_array_equal(view(b, 64), np.arange(64))

    @pytest.mark.parametrize("size", [65, 1 << 20])
    def test_more_bytes_than_there_are_is_an_error_not_a_crash(self, gpu, size):
        with (
            host_memory(gpu.cuda, 64) as host,
            device_memory(gpu.cuda, 64) as device,
            open_stream(gpu.cuda) as stream,
            pytest.raises(EnvironmentMismatch, match="cudaMemcpyAsync: invalid argument"),
        ):
            stream.to_device(device, host, size)

    def test_the_ends_may_not_be_swapped(self, gpu):
        with (
            host_memory(gpu.cuda, 8) as host,
            device_memory(gpu.cuda, 8) as device,
            open_stream(gpu.cuda) as stream,
            pytest.raises(EnvironmentMismatch),
        ):
            stream.to_device(host, device, 8)


def test_everything_is_given_back_after_an_error(gpu):
    before = gpu.live
    held = []

    def work() -> None:
        with host_memory(gpu.cuda, 8), open_stream(gpu.cuda):
            held.append(gpu.live)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert held == [before + 2]
    assert gpu.live == before


def test_marks_tell_the_time_between_them(gpu):
    cuda = gpu.cuda
    with open_stream(cuda) as stream, open_event(cuda) as begin, open_event(cuda) as end:
        stream.record(begin)
        stream.record(end)
        stream.wait()
        assert elapsed_ms(cuda, begin, end) == pytest.approx(1.0)


class TestGraphs:
    def test_recorded_work_is_done_at_each_launch(self, gpu):
        cuda = gpu.cuda
        with (
            host_memory(cuda, 4) as a,
            host_memory(cuda, 4) as b,
            device_memory(cuda, 4) as d,
            open_stream(cuda) as stream,
        ):

            def queue() -> None:
                stream.to_device(d, a, 4)
                stream.to_host(b, d, 4)

            graph = capture(cuda, stream, queue)
            for value in (1, 2):
                view(a, 4)[:] = value
                graph.launch(stream)
                stream.wait()
                assert view(b, 4).tolist() == [value] * 4
            graph.release()

    @pytest.mark.parametrize(
        "function",
        ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiateWithFlags"],
    )
    def test_what_cannot_be_recorded_leaves_a_stream_that_works(self, gpu, function):
        with open_stream(gpu.cuda) as stream:
            gpu.fail(function, 901)
            assert capture(gpu.cuda, stream, lambda: None) is None
            gpu.fail("", 0)
            stream.wait()

    def test_work_that_fails_while_it_is_recorded_ends_the_recording(self, gpu):
        def queue() -> None:
            raise EnvironmentMismatch("this layer cannot be recorded")

        with open_stream(gpu.cuda) as stream:
            assert capture(gpu.cuda, stream, queue) is None
            stream.wait()

    def test_a_cuda_without_graphs_does_without(self, gpu, monkeypatch):
        monkeypatch.setattr(gpu.cuda, "has_graphs", False)
        with open_stream(gpu.cuda) as stream:
            assert capture(gpu.cuda, stream, lambda: None) is None


class TestRefusals:
    @pytest.mark.parametrize("code", [35, 100], ids=["old driver", "no device"])
    def test_no_gpu(self, gpu, code):
        gpu.fail("cudaGetDeviceCount", code)
        with pytest.raises(EnvironmentMismatch, match="no NVIDIA GPU that CUDA can use") as caught:
            gpu.cuda.gpu()
        assert caught.value.exit_code == 3
        assert "--runtimes" in caught.value.fix

    def test_no_memory(self, gpu):
        with (
            pytest.raises(EnvironmentMismatch, match="too little free memory") as caught,
            device_memory(gpu.cuda, 7 << 30),
        ):
            pass
        assert "close other programs" in caught.value.fix

    def test_another_error_is_named(self, gpu):
        gpu.fail("cudaStreamCreate", 999)
        with (
            pytest.raises(EnvironmentMismatch, match=r"cudaStreamCreate: .* \(error 999\)"),
            open_stream(gpu.cuda),
        ):
            pass

    def test_no_library(self):
        with pytest.raises(EnvironmentMismatch, match="no CUDA runtime") as caught:
            Cuda.load(["libno-such-cudart.so"])
        assert caught.value.exit_code == 3

    def test_a_library_that_is_no_cuda_runtime(self):
        with pytest.raises(EnvironmentMismatch, match="has no cudaGetDeviceCount"):
            Cuda.load(["libm.so.6"])


def test_this_machine_without_a_gpu_says_so_in_a_sentence():
    """No stand-in: the real libraries, or their absence, in a process of its own."""
    code = (
        "import sys\n"
        "from allnet_edge.engines.cuda import Cuda\n"
        "from allnet_edge.errors import EnvironmentMismatch\n"
        "try:\n    print('gpu', Cuda.load().gpu().sm)\n"
        "except EnvironmentMismatch as error:\n    print('none', error.exit_code, error.what)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if done.stdout.startswith("gpu"):
        pytest.skip("this machine has a GPU")
    assert done.stdout.startswith("none 3 this machine has no ")
