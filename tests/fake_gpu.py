"""A machine with a GPU, stood in for: the CUDA runtime as a real library, TensorRT as a module."""

import ctypes
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fake_tensorrt
import pytest

from allnet_edge.engines import cuda
from allnet_edge.engines.cuda import Cuda

SOURCE = Path(__file__).with_name("fake_cudart.c")


@pytest.fixture(scope="session")
def cudart_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in library, compiled; skips without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to make the stand-in of the CUDA runtime with")
    path = tmp_path_factory.mktemp("cudart") / "libcudart.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", path, SOURCE], check=True
    )
    return path


@dataclass(frozen=True)
class FakeGpu:
    """The stand-ins.

    Attributes:
        cuda: Ours, over the library.
        library: The library itself, to make it fail and to count what lives.
        trt: The TensorRT module.
        path: Of the library.
    """

    cuda: Cuda
    library: ctypes.CDLL
    trt: types.ModuleType
    path: Path

    @property
    def live(self) -> int:
        """Allocations, streams, events and graphs that were not given back."""
        return int(self.library.fake_live())

    def fail(self, function: str, code: int) -> None:
        """Make a function of the CUDA runtime return an error from now on; code 0 stops that."""
        self.library.fake_fail(function.encode(), code)


@pytest.fixture
def gpu(cudart_path: Path) -> Iterator[FakeGpu]:
    """A GPU of SM 8.7 with TensorRT 10.3, in this process."""
    library = ctypes.CDLL(str(cudart_path))
    library.fake_gpu.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t)
    library.fake_fail(b"", 0)
    library.fake_gpu(8, 7, 6 << 30)
    before = library.fake_live()
    yield FakeGpu(Cuda(library), library, fake_tensorrt.make("10.3.0", library), cudart_path)
    library.fake_fail(b"", 0)
    assert library.fake_live() == before, "something of the GPU was not given back"


@pytest.fixture
def gpu_machine(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """The same, found by everything in this process that looks for a GPU."""
    install(gpu.trt, gpu.path, monkeypatch)
    return gpu


def install(trt: types.ModuleType, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this the TensorRT and the CUDA runtime of this process."""
    monkeypatch.setattr(cuda, "_NAMES", (str(path),))
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.delitem(sys.modules, "allnet_edge.engines.tensorrt", raising=False)
