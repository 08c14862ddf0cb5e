"""What a Raspberry Pi throttles, as ``vcgencmd get_throttled`` tells it."""

import re
from dataclasses import dataclass

from allnet_edge.measure.sensors.source import Source

# Raspberry Pi documentation, "vcgencmd": the low bits say now, those 16 higher since the boot.
_BITS = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
_SINCE_BOOT = 16


@dataclass(frozen=True, slots=True)
class PiThrottling:
    """Attributes: ``now`` and ``since_boot``, in words; empty where all is well."""

    now: tuple[str, ...]
    since_boot: tuple[str, ...]


def parse_throttled(text: str) -> PiThrottling | None:
    """From ``throttled=0x50005``; None where it is no such line."""
    found = re.search(r"throttled=0x([0-9a-fA-F]+)", text)
    if found is None:
        return None
    bits = int(found[1], 16)
    return PiThrottling(_words(bits), _words(bits >> _SINCE_BOOT))


def _words(bits: int) -> tuple[str, ...]:
    return tuple(word for bit, word in _BITS.items() if bits >> bit & 1)


def read_throttled(source: Source) -> PiThrottling | None:
    """Of this device; None where it is no Raspberry Pi."""
    text = source.ask(("vcgencmd", "get_throttled"))
    return None if text is None else parse_throttled(text)
