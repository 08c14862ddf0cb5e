"""How a power mode is set: by its name, since the numbers differ between boards."""

import re

from allnet_edge.measure.sensors.source import Source

_TABLE = "etc/nvpmodel.conf"


def set_command(source: Source, name: str) -> str:
    """The command that sets a mode on this very board.

    Args:
        source: The board; its /etc/nvpmodel.conf has ``< POWER_MODEL ID=0 NAME=15W >`` lines.
        name: Such as ``MAXN_SUPER``.
    """
    rows = re.findall(
        r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>", source.text(_TABLE) or "", re.I
    )
    numbers = {known: number for number, known in rows}
    if name in numbers:
        return f"set it: sudo nvpmodel -m {numbers[name]}"
    there = f" (this board has: {', '.join(numbers)})" if numbers else ""
    return f"set {name} with sudo nvpmodel -m NUMBER, by the table in /{_TABLE}{there}"
