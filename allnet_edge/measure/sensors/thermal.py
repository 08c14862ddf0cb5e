"""Temperatures of the kernel's thermal zones, and the cooling devices that slow a machine down."""

import re

from allnet_edge.measure.sensors.source import Source

_ABSENT_C = -100.0  # a Jetson gives -256 C for a part that is switched off
_SLOWS = re.compile(r"cpu|gpu|gpc|devfreq|emc|throttl|processor", re.I)
_MILLI = 1000


def read_temperatures(source: Source) -> dict[str, float]:
    """Degrees Celsius of each zone that answers, by its type; a second one of a type gets ``#2``.

    A zone whose part sleeps gives an error or an impossible value, and is left out.
    """
    found: dict[str, float] = {}
    for zone in sorted(source.matching("sys/class/thermal/thermal_zone*"), key=_number):
        kind, value = source.text(f"{zone}/type"), source.number(f"{zone}/temp")
        if kind is None or value is None or value / _MILLI < _ABSENT_C:
            continue
        found[_free(kind, found)] = value / _MILLI
    return found


def slowed_by(source: Source) -> tuple[str, ...] | None:
    """Cooling devices at work that lower a clock; a fan lowers none. None where there is no such
    device.
    """
    active, known = [], False
    for device in sorted(source.matching("sys/class/thermal/cooling_device*"), key=_number):
        kind, state = source.text(f"{device}/type"), source.number(f"{device}/cur_state")
        if kind is None or state is None or not _SLOWS.search(kind):
            continue
        known = True
        if state > 0:
            active.append(kind)
    return tuple(dict.fromkeys(active)) if known else None


def _number(path: str) -> int:
    return int(re.sub(r"\D", "", path.rpartition("/")[2]) or 0)


def _free(name: str, taken: dict[str, float]) -> str:
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name}#{number}", number + 1
    return unique
