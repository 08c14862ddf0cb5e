"""Memory that a Jetson's GPU holds; it shares that of the processors."""

import re

from allnet_edge.measure.sensors.source import Source


def read_gpu_memory_mb(source: Source) -> float | None:
    """MiB held through NVIDIA's allocator by all programs; None where the kernel does not tell."""
    found = re.search(r"^NvMapMemUsed:\s*(\d+) kB", source.text("proc/meminfo") or "", re.M)
    return None if found is None else int(found[1]) / 1024


def read_used_mb(source: Source) -> float | None:
    """MiB that all programs hold; on a Jetson that of the GPU is in it."""
    text = source.text("proc/meminfo") or ""
    values = {
        name: int(kib)
        for name, kib in re.findall(r"^(MemTotal|MemAvailable):\s*(\d+) kB", text, re.M)
    }
    if len(values) < 2:
        return None
    return (values["MemTotal"] - values["MemAvailable"]) / 1024
