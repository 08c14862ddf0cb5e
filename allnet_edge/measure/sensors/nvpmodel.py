"""The power mode of a Jetson, as ``nvpmodel -q`` tells it."""

import re
from dataclasses import dataclass

from allnet_edge.measure.sensors.source import Source


@dataclass(frozen=True, slots=True)
class PowerMode:
    """A power mode.

    Attributes:
        name: Such as ``MAXN_SUPER`` or ``15W``.
        id: Its number; None where it is not told.
    """

    name: str
    id: int | None


def parse_nvpmodel(text: str) -> PowerMode | None:
    """From what ``nvpmodel -q`` printed: the mode's name, and its number in the line after.

    Lines of warnings (``NVPM WARN``) and of details (``NVPM VERB``) may come before them.
    """
    found = re.search(r"^NV Power Mode:\s*(\S.*?)\s*$(?:\s*^(\d+)\s*$)?", text, re.M)
    if found is None:
        return None
    return PowerMode(found[1], None if found[2] is None else int(found[2]))


def read_nvpmodel(source: Source) -> PowerMode | None:
    """Of this device; None where it has none or does not tell."""
    text = source.ask(("nvpmodel", "-q"))
    return None if text is None else parse_nvpmodel(text)
