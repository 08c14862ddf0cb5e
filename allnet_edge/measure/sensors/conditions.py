"""The settings of a device that a latency depends on, read before anything is measured."""

import re

from allnet_edge.measure.sensors.cpufreq import read_cpu_clocks
from allnet_edge.measure.sensors.devfreq import gpu_clock, read_device_clocks
from allnet_edge.measure.sensors.jetson_clocks import read_jetson_clocks
from allnet_edge.measure.sensors.nv_tegra_release import read_release
from allnet_edge.measure.sensors.nvpmodel import read_nvpmodel
from allnet_edge.measure.sensors.source import Source
from allnet_edge.spec.base import Frozen


class Conditions(Frozen):
    """Null where the device does not tell, or has no such thing.

    Attributes:
        module: What the device tree calls carrier and module, such as
            ``nvidia,p3768-0000+p3767-0005``.
        jetpack: Release line of NVIDIA's software, such as ``6.2``.
        cuda: Version of the CUDA toolkit or runtime that the system has.
        power_mode: Name of the nvpmodel mode.
        power_mode_id: Its number.
        clocks_locked: Whether ``jetson_clocks`` holds the clocks.
        cpu_governor: Of the processors, distinct ones joined by " + ".
        cpu_mhz: Highest clock that the governor may choose.
        cpu_hardware_mhz: Highest clock that the processor has.
        gpu_governor: Of the GPU.
        gpu_mhz: Highest clock that it may choose.
    """

    module: str | None = None
    jetpack: str | None = None
    cuda: str | None = None
    power_mode: str | None = None
    power_mode_id: int | None = None
    clocks_locked: bool | None = None
    cpu_governor: str | None = None
    cpu_mhz: float | None = None
    cpu_hardware_mhz: float | None = None
    gpu_governor: str | None = None
    gpu_mhz: float | None = None


def read_conditions(source: Source) -> Conditions:
    """Of this device, or of a recording."""
    release, mode = read_release(source), read_nvpmodel(source)
    clocks, gpu = read_jetson_clocks(source), gpu_clock(read_device_clocks(source))
    cpus = read_cpu_clocks(source).values()
    governors = {cpu.governor for cpu in cpus if cpu.governor}
    return Conditions(
        module=_module(source),
        jetpack=None if release is None else release.jetpack,
        cuda=_cuda(source),
        power_mode=None if mode is None else mode.name,
        power_mode_id=None if mode is None else mode.id,
        clocks_locked=None if clocks is None else clocks.locked,
        cpu_governor=" + ".join(sorted(governors)) or None,
        cpu_mhz=max((cpu.high for cpu in cpus if cpu.high is not None), default=None),
        cpu_hardware_mhz=max(
            (cpu.hardware_high for cpu in cpus if cpu.hardware_high is not None), default=None
        ),
        gpu_governor=None if gpu is None else gpu.governor,
        gpu_mhz=None if gpu is None else gpu.high,
    )


def _module(source: Source) -> str | None:
    """The first and most exact of the names that a board says it is compatible with."""
    names = source.text("proc/device-tree/compatible")
    return None if names is None else names.split("\0")[0]


def _cuda(source: Source) -> str | None:
    """From ``version.json`` (CUDA 11 and later) or ``version.txt`` (JetPack 4)."""
    json_text = source.text("usr/local/cuda/version.json") or ""
    text = source.text("usr/local/cuda/version.txt") or ""
    found = re.search(r'"cuda"\s*:\s*{[^}]*"version"\s*:\s*"([\d.]+)"', json_text)
    found = found or re.search(r"CUDA Version ([\d.]+)", text)
    return None if found is None else found[1]
