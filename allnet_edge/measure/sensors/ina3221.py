"""Power rails of a Jetson: its INA3221 monitors (INA238 on a Thor), by the rails' own names.

JetPack 5 and later show them as hwmon (labels, millivolts, milliamperes), JetPack 4 as industrial
I/O devices (milliwatts). Which rails there are differs from board to board; none is guessed.
"""

import re
from collections.abc import Mapping

from allnet_edge.measure.sensors.source import Source

_TOTALS = ("VDD_IN", "VIN", "POM_5V_IN", "5V_IN")
_INSIDE = ("sum of shunt voltages", "NC")  # no rails
_MONITORS = ("ina3221", "ina238")


def read_rails(source: Source) -> dict[str, float]:
    """Milliwatts of each rail, by name; empty where there is no monitor."""
    return _hwmon(source) or _iio(source)


def total_mw(rails: Mapping[str, float]) -> float | None:
    """What the whole module takes: its input rail, or the sum of all rails; None without any.

    A sum misses what no monitor watches, and counts twice what one rail feeds another.
    """
    for name in _TOTALS:
        if name in rails:
            return rails[name]
    return sum(rails.values()) if rails else None


def _hwmon(source: Source) -> dict[str, float]:
    rails: dict[str, float] = {}
    for path in source.matching("sys/class/hwmon/hwmon*/in*_label"):
        folder, _, file = path.rpartition("/")
        if source.text(f"{folder}/name") not in _MONITORS:
            continue
        number = re.sub(r"\D", "", file)
        name = source.text(path)
        volts = source.number(f"{folder}/in{number}_input")
        amperes = source.number(f"{folder}/curr{number}_input")
        if name and name not in _INSIDE and volts is not None and amperes is not None:
            rails[name] = volts * amperes / 1000
    return rails


def _iio(source: Source) -> dict[str, float]:
    rails: dict[str, float] = {}
    for path in source.matching("sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*"):
        folder, _, file = path.rpartition("/")
        number = file.removeprefix("rail_name_")
        name = source.text(path)
        power = source.number(f"{folder}/in_power{number}_input")
        if name and name not in _INSIDE and power is not None:
            rails[name] = float(power)
    return rails
