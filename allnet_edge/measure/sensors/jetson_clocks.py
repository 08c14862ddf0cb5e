"""Whether the clocks of a Jetson are locked, as ``jetson_clocks --show`` tells it (as root)."""

import re
from dataclasses import dataclass

from allnet_edge.measure.sensors.source import Source

_UNIT = re.compile(
    r"^(?P<name>cpu\d+|GPU|EMC)\b(?!: *Online=0).*?MinFreq=(?P<low>\d+) MaxFreq=(?P<high>\d+) "
    r"CurrentFreq=(?P<now>\d+)(?:.*?FreqOverride=(?P<override>\d))?",
    re.M,
)


@dataclass(frozen=True, slots=True)
class ClockRange:
    """One unit's clock in the tool's own unit: kHz for processors, Hz for GPU and memory."""

    low: int
    high: int
    now: int
    override: bool | None = None


@dataclass(frozen=True, slots=True)
class Clocks:
    """Clocks of a Jetson.

    Attributes:
        units: By the tool's own names: ``cpu0``.., ``GPU``, ``EMC``.
        locked: Whether ``jetson_clocks`` holds them: every processor and the GPU have one
            frequency only, and the memory's is overridden. None where that cannot be told.
    """

    units: dict[str, ClockRange]
    locked: bool | None


def parse_jetson_clocks(text: str) -> Clocks | None:
    """From what ``jetson_clocks --show`` printed; None where it shows no clock."""
    units = {
        found["name"]: ClockRange(
            int(found["low"]),
            int(found["high"]),
            int(found["now"]),
            None if found["override"] is None else found["override"] == "1",
        )
        for found in _UNIT.finditer(text)
    }
    return Clocks(units, _locked(units)) if units else None


def _locked(units: dict[str, ClockRange]) -> bool | None:
    if "GPU" not in units:
        return None
    fixed = all(unit.low == unit.high for name, unit in units.items() if name != "EMC")
    memory = units.get("EMC")
    return fixed and (memory is None or memory.override is not False)


def read_jetson_clocks(source: Source) -> Clocks | None:
    """Of this device; None where it has none or does not tell (it wants root)."""
    text = source.ask(("jetson_clocks", "--show"))
    return None if text is None else parse_jetson_clocks(text)
