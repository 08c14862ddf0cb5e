"""What machine this is, from files as such machines show them."""

import getpass
import os
import platform
import socket
from pathlib import Path

import pytest

from allnet_edge.measure.system import Machine, OtherLoad, describe, load_1min, peak_rss_mb

JETSON = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/cpuinfo": "".join(
        f"processor\t: {k}\nBogoMIPS\t: 62.50\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n\n"
        for k in range(6)
    ),
    "proc/meminfo": "MemTotal:        7802852 kB\nMemFree: 100 kB\nMemAvailable:    5242880 kB\n",
    "proc/loadavg": "0.52 0.40 0.30 1/512 4242\n",
    "proc/sys/kernel/osrelease": "5.15.148-tegra\n",
    "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, "
    "EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n",
    **{f"sys/devices/system/cpu/cpu{k}/cpufreq/scaling_governor": "schedutil\n" for k in range(6)},
}
PI = {
    "sys/firmware/devicetree/base/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
}
HOST = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU @ 3.0GHz\n\nprocessor\t: 1\n"
    "model name\t: Some CPU @ 3.0GHz\n",
}


def _root(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_jetson_is_known_in_full(tmp_path: Path) -> None:
    got = describe(root=_root(tmp_path, JETSON))
    assert got.device_class == "jetson"
    assert got.model == "NVIDIA Jetson Orin Nano Developer Kit"
    assert (got.cpu, got.cores) == ("Cortex-A78AE", 6)
    assert (got.memory_mb, got.available_mb) == (7619, 5120)
    assert (got.os, got.kernel, got.l4t) == ("Ubuntu 22.04.5 LTS", "5.15.148", "36.4.3")
    assert (got.governor, got.load_1min) == ("schedutil", 0.52)


@pytest.mark.parametrize(
    ("files", "device_class"),
    [
        ({"proc/device-tree/model": "NVIDIA Orin NX Developer Kit\0"}, "jetson"),
        ({"proc/device-tree/model": "Jetson-AGX\0"}, "jetson"),
        ({"proc/device-tree/model": "Some Maker's Carrier\0"}, "host-proxy"),
        (
            {
                "proc/device-tree/model": "Some Maker's Carrier\0",
                "etc/nv_tegra_release": JETSON["etc/nv_tegra_release"],
            },
            "jetson",
        ),
        (PI, "raspberry-pi"),
        (HOST, "host-proxy"),
        ({"proc/device-tree/model": "NVIDIA DGX Spark\0"}, "host-proxy"),
        ({}, "host-proxy"),
    ],
)
def test_only_known_devices_are_called_devices(
    tmp_path: Path, files: dict[str, str], device_class: str
) -> None:
    assert describe(root=_root(tmp_path, files)).device_class == device_class


def test_a_pi_and_a_host(tmp_path: Path) -> None:
    pi = describe(root=_root(tmp_path / "pi", PI))
    assert (pi.model, pi.cpu, pi.governor) == (
        "Raspberry Pi 5 Model B Rev 1.0",
        "Cortex-A76",
        "ondemand",
    )
    host = describe(root=_root(tmp_path / "host", HOST))
    assert (host.model, host.cpu, host.cores) == (platform.machine(), "Some CPU @ 3.0GHz", 2)


def test_cores_of_two_kinds_and_an_unknown_one(tmp_path: Path) -> None:
    info = "".join(
        f"processor : {k}\nCPU implementer : 0x4{i}\nCPU part : {part}\n"
        for k, (i, part) in enumerate([("e", "0x003"), ("1", "0xd07"), ("1", "0xfff")])
    )
    got = describe(root=_root(tmp_path, {"proc/cpuinfo": info}))
    assert got.cpu == "Denver 2 + Cortex-A57 + Arm 0x41:0xfff"


def test_what_cannot_be_read_is_null(tmp_path: Path) -> None:
    got = describe(root=tmp_path)
    unknown = (got.cpu, got.memory_mb, got.available_mb, got.os, got.kernel, got.l4t, got.governor)
    assert unknown == (None,) * 7
    assert got.load_1min is None
    assert got.cores >= 1
    assert load_1min(tmp_path) is None


def test_nothing_names_the_machine_its_user_or_its_folders() -> None:
    text = describe(["numpy"]).model_dump_json()
    names = [socket.gethostname(), getpass.getuser(), str(Path.home()), str(Path.cwd())]
    for name in names:
        if len(name) > 4:  # "root" and "/" occur in ordinary words
            assert name not in text


def test_versions_without_importing() -> None:
    got = describe(["numpy", "no-such-package-at-all"])
    assert got.packages["no-such-package-at-all"] is None
    assert got.packages["numpy"]
    assert got.python == platform.python_version()


def test_the_device_is_written_and_read_as_bench_json_has_it() -> None:
    machine = describe()
    document = machine.model_dump(mode="json")
    assert document["class"] == machine.device_class
    assert "device_class" not in document
    assert Machine.model_validate(document) == machine


def test_peak_memory_is_what_the_system_says(tmp_path: Path) -> None:
    status = {"proc/self/status": "Name:\tpython\nVmHWM:\t  204800 kB\nVmRSS:\t 1 kB\n"}
    assert peak_rss_mb(_root(tmp_path, status)) == 200
    assert 5 < peak_rss_mb() < 100_000
    assert 5 < peak_rss_mb(tmp_path / "nothing") < 100_000


def _stat(busy_ticks: int) -> dict[str, str]:
    line = f"{busy_ticks} 0 0 999999 50 0 0 0 0 0"
    return {"proc/stat": f"cpu  {line}\ncpu0 {line}\ncpu1 {line}\nintr 1\n"}


def test_other_load_is_what_all_used_minus_what_we_used(tmp_path: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    own, wall = [10.0, 13.0], [100.0, 105.0]
    meter = OtherLoad(_root(tmp_path, _stat(0)), lambda: own.pop(0), lambda: wall.pop(0))
    meter.start()
    _root(tmp_path, _stat(8 * ticks))
    # 8 s busy, 3 s of them ours: 5 s of others in 5 s on 2 processors.
    assert meter.share() == pytest.approx(0.5)


def test_other_load_is_unknown_where_nothing_tells_and_never_negative(tmp_path: Path) -> None:
    blind = OtherLoad(tmp_path / "nothing")
    blind.start()
    assert blind.share() is None
    own, wall = [0.0, 9.0], [0.0, 5.0]
    meter = OtherLoad(_root(tmp_path, _stat(0)), lambda: own.pop(0), lambda: wall.pop(0))
    meter.start()
    assert meter.share() == 0
