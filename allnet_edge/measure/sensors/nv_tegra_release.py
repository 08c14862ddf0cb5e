"""Which Jetson Linux (L4T) this is, and which JetPack that belongs to."""

import re
from dataclasses import dataclass

from allnet_edge.measure.sensors.source import Source

_RELEASE = re.compile(r"# R(?P<major>\d+) \(release\), REVISION: (?P<minor>[\d.]+)")
# NVIDIA's JetPack archive. The first L4T of each JetPack line; a later one belongs to it, too.
_JETPACKS = (
    ((39, 2), "7.2"), ((38, 4), "7.1"), ((38, 2), "7.0"),
    ((36, 5), "6.2.2"), ((36, 4, 4), "6.2.1"), ((36, 4, 3), "6.2"), ((36, 4), "6.1"),
    ((36, 3), "6.0"), ((36, 2), "6.0 DP"),
    ((35, 6, 1), "5.1.5"), ((35, 6), "5.1.4"), ((35, 5), "5.1.3"), ((35, 4, 1), "5.1.2"),
    ((35, 3, 1), "5.1.1"), ((35, 2, 1), "5.1"), ((35, 1), "5.0.2"), ((34, 1), "5.0 DP"),
    ((32, 7, 6), "4.6.6"), ((32, 7, 5), "4.6.5"), ((32, 7, 4), "4.6.4"), ((32, 7, 3), "4.6.3"),
    ((32, 7, 2), "4.6.2"), ((32, 7, 1), "4.6.1"), ((32, 6, 1), "4.6"), ((32, 5), "4.5"),
    ((32, 4, 3), "4.4"), ((32, 3, 1), "4.3"), ((32, 2), "4.2.1"), ((32, 1), "4.2"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Release:
    """Jetson Linux.

    Attributes:
        l4t: Such as ``36.4.3``.
        jetpack: Such as ``6.2``; None for a release older than any that is known here. For a
            release between two known ones it is the older one's, marked with ``+``.
    """

    l4t: str
    jetpack: str | None


def parse_release(text: str) -> Release | None:
    """From the text of ``/etc/nv_tegra_release``; None where it is none."""
    found = _RELEASE.search(text)
    if found is None:
        return None
    l4t = f"{found['major']}.{found['minor']}"
    return Release(l4t, jetpack_of(l4t))


def jetpack_of(l4t: str) -> str | None:
    """The JetPack of a release of Jetson Linux."""
    version = tuple(int(part) for part in l4t.split(".") if part)
    while version and version[-1] == 0:
        version = version[:-1]
    for first, name in _JETPACKS:
        if version >= first and version[0] == first[0]:
            return name if version == first else f"{name}+"
    return None


def read_release(source: Source) -> Release | None:
    """Of this device; None where it is no Jetson."""
    text = source.text("etc/nv_tegra_release")
    return None if text is None else parse_release(text)
