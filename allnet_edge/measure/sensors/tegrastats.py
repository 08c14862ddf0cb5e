"""Lines of ``tegrastats``, from JetPack 4 to 7.

The GPU's field has three forms: ``GR3D_FREQ 35%@921`` (load, MHz; also ``35%`` alone),
``GR3D_FREQ 35%@[1300,1300]`` (two graphics clusters) and ``GR3D_FREQ @[1000,1000,1000]`` (no load).
A Thor has no such field. Rails are milliwatts now and on average, with the unit written (``VDD_IN
4896mW/4896mW``) or, before JetPack 5, without (``POM_5V_IN 2003/2003``).

The program is never started here: it wants root for some fields, and what else it shows stands in
files. A person may let it write a log (``tegrastats --logfile LOG``), whose last line is read.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

_RAM = re.compile(r"\bRAM (\d+)/(\d+)MB")
_GR3D = re.compile(r"\bGR3D_FREQ (?:(?P<load>\d+)%)?(?:@(?P<clock>\d+|\[[\d,\s]+\]))?")
_EMC = re.compile(r"\bEMC_FREQ (?:(\d+)%)?@(\d+)")
_CPU = re.compile(r"\bCPU \[([^\]]*)\](?:@(\d+))?", re.I)
_CORE = re.compile(r"(\d+)%(?:@(\d+))?")
# Lower and upper case, with a limit behind it or not: GPU@45.5C, gpu@52.968C/52.968C
_TEMPERATURE = re.compile(r"\b([A-Za-z][\w.-]*)@(-?\d+(?:\.\d+)?)C\b")
# A gated rail may read a little below zero.
_RAIL = re.compile(r"\b([A-Z][A-Z0-9_]*) (-?\d+)(?:mW)?/-?\d+(?:mW)?(?=\s|$)")
_ABSENT_C = -100.0
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class TegraLine:
    """One line; None where it does not have the field.

    Attributes:
        ram_mb: In use, of ``ram_total_mb``.
        gpu_load: 0..1.
        gpu_mhz: Of the fastest graphics cluster.
        emc_mhz: Of the memory.
        cpu_load: Of each processor, 0..1; None for one that is off.
        temperatures: Degrees Celsius, by the line's own names.
        rails: Milliwatts at this moment, by the line's own names.
    """

    ram_mb: int | None = None
    ram_total_mb: int | None = None
    gpu_load: float | None = None
    gpu_mhz: int | None = None
    emc_mhz: int | None = None
    cpu_load: tuple[float | None, ...] = ()
    temperatures: dict[str, float] = field(default_factory=dict)
    rails: dict[str, float] = field(default_factory=dict)


def parse_tegrastats(line: str) -> TegraLine | None:
    """Read one line; None where it is none."""
    ram = _RAM.search(line)
    if ram is None:
        return None
    gpu, emc, cpu = _GR3D.search(line), _EMC.search(line), _CPU.search(line)
    return TegraLine(
        ram_mb=int(ram[1]),
        ram_total_mb=int(ram[2]),
        gpu_load=int(gpu["load"]) / 100 if gpu and gpu["load"] else None,
        gpu_mhz=_fastest(gpu["clock"]) if gpu and gpu["clock"] else None,
        emc_mhz=int(emc[2]) if emc else None,
        cpu_load=_cores(cpu[1]) if cpu else (),
        temperatures=_temperatures(line),
        rails={name: float(now) for name, now in _RAIL.findall(line) if name != "NC"},
    )


def last_line(log: Path) -> TegraLine | None:
    """The newest whole line of a log; None where there is none yet."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").split("\n")[:-1]
    except OSError:
        return None
    found = (parse_tegrastats(line) for line in reversed(lines))
    return next((line for line in found if line is not None), None)


def _fastest(clock: str) -> int:
    return max(int(part) for part in clock.strip("[]").split(","))


def _cores(text: str) -> tuple[float | None, ...]:
    found = [_CORE.match(part.strip()) for part in text.split(",")]
    return tuple(None if core is None else int(core[1]) / 100 for core in found)


def _temperatures(line: str) -> dict[str, float]:
    pairs = ((name, float(value)) for name, value in _TEMPERATURE.findall(line))
    return {name: value for name, value in pairs if value > _ABSENT_C}
