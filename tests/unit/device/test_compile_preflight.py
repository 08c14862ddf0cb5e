"""Before an engine is built: each refusal ends in 3, says why, and says what would help."""

from pathlib import Path

import pytest

from allnet_edge.artifacts.bundle import Bundle
from allnet_edge.cli.main import main
from allnet_edge.device.compile_preflight import Probes, preflight
from allnet_edge.engines.cuda import Cuda
from allnet_edge.errors import (
    DeviceMismatchError,
    EnvironmentMismatch,
    MissingDependencyError,
    StorageError,
)
from allnet_edge.measure.sensors.source import Source, recorded
from allnet_edge.spec.target import load_target

JETSON = "jetson-orin-nano-super"
NVPMODEL_CONF = """
< POWER_MODEL ID=0 NAME=15W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
"""


@pytest.fixture
def bundle(make_bundle) -> Bundle:
    return Bundle.open(make_bundle(target=JETSON))


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """An Orin Nano Super with JetPack 6.2 in its fastest mode, 5 GB of memory free."""
    root = tmp_path / "board"
    files = {
        "proc/meminfo": "MemTotal: 7800000 kB\nMemAvailable: 5000000 kB\n",
        "proc/cpuinfo": "processor\t: 0\n",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1\n",
        "etc/nvpmodel.conf": NVPMODEL_CONF,
        "commands/nvpmodel_-q.txt": "NV Power Mode: MAXN_SUPER\n2\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def look(gpu, bundle, board):
    """Runs the preflight with the stand-ins, some of them exchanged."""

    def run(target: str = JETSON, disk: int = 10_000, **options: object):
        def source() -> Source:
            return recorded(board)

        probes = Probes(
            trt=options.pop("trt", lambda: gpu.trt),
            cuda=options.pop("cuda", lambda: gpu.cuda),
            source=source,
            free_disk_mb=lambda _folder: disk,
        )
        graphs = (bundle.path("model/model.fp32.onnx"),)
        return preflight(bundle, load_target(target), graphs, probes=probes, **options)

    return run


def test_a_sound_device_passes_and_is_described(look):
    found = look()
    assert (found.here.tensorrt, found.here.gpu.sm, found.here.gpu.runtime) == (
        "10.3.0", "8.7", "12.6",
    )  # fmt: skip
    assert (found.machine.l4t, found.power_mode) == ("36.4.3", "MAXN_SUPER")
    assert found.workspace_mb == 1024  # the target's
    assert found.notes == ()


class TestRefusals:
    def test_another_gpu(self, look, gpu):
        gpu.library.fake_gpu(9, 0, 6 << 30)
        with pytest.raises(DeviceMismatchError, match=r"\(SM 8\.7\), this GPU is .* \(SM 9\.0\)"):
            look()

    def test_too_little_memory(self, look, board):
        (board / "proc/meminfo").write_text("MemTotal: 7800000 kB\nMemAvailable: 900000 kB\n")
        with pytest.raises(EnvironmentMismatch, match=r"needs about 1424 MB .* 878 MB") as caught:
            look()
        assert "--workspace" in caught.value.fix
        assert look(workspace_mb=64).workspace_mb == 64

    def test_too_little_disk(self, look, bundle):
        with pytest.raises(StorageError, match="64 MB of disk, 3 MB are free") as caught:
            look(disk=3)
        assert caught.value.where == str(bundle.root)
        assert caught.value.exit_code == 3

    def test_another_power_mode(self, look, board):
        (board / "commands/nvpmodel_-q.txt").write_text("NV Power Mode: 15W\n0\n")
        with pytest.raises(EnvironmentMismatch, match=r"is 15W, .* in MAXN_SUPER") as caught:
            look()
        assert "sudo nvpmodel -m 2" in caught.value.fix
        assert look(power_mode="15W").power_mode == "15W"

    def test_a_power_mode_that_the_board_does_not_have(self, look):
        with pytest.raises(EnvironmentMismatch) as caught:
            look(power_mode="25W")
        assert "this board has: 15W, MAXN_SUPER" in caught.value.fix

    def test_an_old_tensorrt(self, look, gpu):
        del gpu.trt.ICudaEngine.get_tensor_name
        with pytest.raises(EnvironmentMismatch, match=r"ICudaEngine\.get_tensor_name"):
            look()

    def test_no_tensorrt(self, look):
        def none() -> None:
            raise MissingDependencyError("no TensorRT")

        with pytest.raises(MissingDependencyError):
            look(trt=none)

    def test_no_gpu_is_told_before_a_missing_tensorrt(self, look, gpu):
        gpu.fail("cudaGetDeviceCount", 35)
        with pytest.raises(EnvironmentMismatch, match="no NVIDIA GPU"):
            look(trt=lambda: pytest.fail("asked for TensorRT first"))


class TestNotes:
    def test_a_power_mode_that_cannot_be_read(self, look, board):
        (board / "commands/nvpmodel_-q.txt").unlink()
        found = look()
        assert found.power_mode is None
        assert found.notes == ("the power mode cannot be read; MAXN_SUPER is wanted",)

    @pytest.mark.parametrize(
        ("release", "known"), [("36.4", True), ("36.5", True), ("40.1", False)]
    )
    def test_a_release_that_the_target_does_not_know(self, look, board, release, known):
        major, minor = release.split(".")
        text = f"# R{major} (release), REVISION: {minor}.0, GCID: 1\n"
        (board / "etc/nv_tegra_release").write_text(text)
        assert bool(look().notes) is not known


def test_this_machine_without_a_gpu_ends_in_3(make_bundle, capsys):
    """No stand-in: what a person sees who compiles a Jetson's bundle on a PC."""
    try:
        Cuda.load().gpu()
    except EnvironmentMismatch:
        pass
    else:
        pytest.skip("this machine has a GPU")
    folder = make_bundle(target=JETSON)
    assert main(["compile", str(folder)]) == 3
    err = capsys.readouterr().err
    assert "error: this machine has no " in err
    assert "Traceback" not in err
    assert not (folder / "engine").exists()
