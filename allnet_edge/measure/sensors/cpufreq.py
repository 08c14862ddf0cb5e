"""Clocks of the processors."""

import re
from dataclasses import dataclass

from allnet_edge.measure.sensors.source import Source

_KILO = 1000


@dataclass(frozen=True, slots=True)
class CpuClock:
    """One processor, megahertz.

    Attributes:
        now: At this moment; None where the kernel does not tell.
        low, high: Between which the governor may move it.
        hardware_high: What the processor itself could do.
    """

    now: float | None
    low: float | None
    high: float | None
    hardware_high: float | None
    governor: str | None


def read_cpu_clocks(source: Source) -> dict[str, CpuClock]:
    """Of each processor, ``cpu0`` and so on; empty where the kernel does not scale them."""
    found = {}
    folders = sorted(source.matching("sys/devices/system/cpu/cpu[0-9]*/cpufreq"), key=_number)
    for folder in folders:
        found[folder.split("/")[-2]] = CpuClock(
            _mega(source.number(f"{folder}/scaling_cur_freq")),
            _mega(source.number(f"{folder}/scaling_min_freq")),
            _mega(source.number(f"{folder}/scaling_max_freq")),
            _mega(source.number(f"{folder}/cpuinfo_max_freq")),
            source.text(f"{folder}/scaling_governor"),
        )
    return found


def _number(folder: str) -> int:
    return int(re.sub(r"\D", "", folder.split("/")[-2]))


def _mega(kilohertz: int | None) -> float | None:
    return None if kilohertz is None else kilohertz / _KILO
