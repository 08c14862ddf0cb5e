"""What the sensors of a device say at one moment, and over a span of time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from allnet_edge.measure.sensors.cpufreq import read_cpu_clocks
from allnet_edge.measure.sensors.devfreq import gpu_clock, read_device_clocks
from allnet_edge.measure.sensors.gpu_memory import read_gpu_memory_mb, read_used_mb
from allnet_edge.measure.sensors.ina3221 import read_rails, total_mw
from allnet_edge.measure.sensors.source import Source
from allnet_edge.measure.sensors.tegrastats import TegraLine, last_line
from allnet_edge.measure.sensors.thermal import read_temperatures, slowed_by
from allnet_edge.measure.sensors.throttle_counters import grown, read_counters
from allnet_edge.measure.sensors.vcgencmd import read_throttled


@dataclass(frozen=True, slots=True)
class Reading:
    """One moment; what a device does not tell is absent or None.

    Attributes:
        at: Seconds of a monotonic clock.
        rails_mw: Power, by rail.
        temperatures_c: By zone.
        clocks_mhz: ``gpu``, ``emc`` (memory), and ``cpu`` as the mean over the processors.
        throttled: What slows the device down right now; None where nothing here can tell.
        counters: Throttling events since the boot.
        gpu_memory_mb: That the GPU holds.
        used_mb: That all programs hold.
    """

    at: float
    rails_mw: dict[str, float] = field(default_factory=dict)
    temperatures_c: dict[str, float] = field(default_factory=dict)
    clocks_mhz: dict[str, float] = field(default_factory=dict)
    throttled: tuple[str, ...] | None = None
    counters: dict[str, int] = field(default_factory=dict)
    gpu_memory_mb: float | None = None
    used_mb: float | None = None

    @property
    def total_mw(self) -> float | None:
        """What the module takes."""
        return total_mw(self.rails_mw)

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


def read_now(source: Source, clock: Callable[[], float] = time.monotonic) -> Reading:
    """Read every sensor once: some milliseconds of file reading, and a command on a Pi.

    A log of tegrastats fills in what files do not tell.
    """
    log = source.tegrastats_log
    tegra = (None if log is None else last_line(log)) or TegraLine()
    return Reading(
        at=clock(),
        rails_mw=read_rails(source) or tegra.rails,
        temperatures_c=read_temperatures(source) or tegra.temperatures,
        clocks_mhz=_clocks(source, tegra),
        throttled=_throttled(source),
        counters=read_counters(source),
        gpu_memory_mb=read_gpu_memory_mb(source),
        used_mb=read_used_mb(source),
    )


def throttling(readings: Sequence[Reading]) -> tuple[str, ...] | None:
    """What slowed the device down at any time between the first reading and the last; None where
    nothing here can tell.
    """
    if not any(reading.throttled is not None or reading.counters for reading in readings):
        return None
    seen = [word for reading in readings for word in reading.throttled or ()]
    counted = grown(readings[0].counters, readings[-1].counters)
    return tuple(dict.fromkeys((*seen, *counted)))


def _throttled(source: Source) -> tuple[str, ...] | None:
    cooling, pi = slowed_by(source), read_throttled(source)
    if cooling is None and pi is None:
        return None
    return (*(cooling or ()), *(pi.now if pi else ()))


def _clocks(source: Source, tegra: TegraLine) -> dict[str, float]:
    told = {"gpu": tegra.gpu_mhz, "emc": tegra.emc_mhz}
    found = {name: float(value) for name, value in told.items() if value is not None}
    cpus = [cpu.now for cpu in read_cpu_clocks(source).values() if cpu.now is not None]
    if cpus:
        found["cpu"] = sum(cpus) / len(cpus)
    gpu = gpu_clock(read_device_clocks(source))
    if gpu is not None:
        found["gpu"] = gpu.now
    return found
