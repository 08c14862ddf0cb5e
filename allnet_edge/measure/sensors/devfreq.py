"""Clocks of the GPU, and of what else the kernel scales by devfreq."""

from dataclasses import dataclass

from allnet_edge.measure.sensors.source import Source

# Nano gpu / 57000000.gpu, TX2 17000000.gp10b, Xavier 17000000.gv11b, Orin 17000000.ga10b or
# 17000000.gpu, Thor gpu-gpc-0.
_GPU = ("gpu", "gp10b", "gv11b", "ga10b")
_HERTZ = 1_000_000


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """Megahertz.

    Attributes:
        now: At this moment.
        low, high: Between which it may move.
        governor: Who moves it.
        load: Share of the time at work, 0..1; None where it is not told.
    """

    now: float
    low: float | None
    high: float | None
    governor: str | None
    load: float | None = None


def read_device_clocks(source: Source) -> dict[str, DeviceClock]:
    """Of each device, by the kernel's own name."""
    found = {}
    for folder in source.matching("sys/class/devfreq/*"):
        now = source.number(f"{folder}/cur_freq")
        if now is None:
            continue
        load = source.number(f"{folder}/device/load")
        found[folder.rpartition("/")[2]] = DeviceClock(
            now / _HERTZ,
            _mega(source.number(f"{folder}/min_freq")),
            _mega(source.number(f"{folder}/max_freq")),
            source.text(f"{folder}/governor"),
            None if load is None else load / 1000,
        )
    return found


def gpu_clock(clocks: dict[str, DeviceClock]) -> DeviceClock | None:
    """That of the GPU, if one is among them; of several parts of it the first."""
    names = [name for name in sorted(clocks) if any(part in name for part in _GPU)]
    return clocks[names[0]] if names else None


def _mega(hertz: int | None) -> float | None:
    return None if hertz is None else hertz / _HERTZ
