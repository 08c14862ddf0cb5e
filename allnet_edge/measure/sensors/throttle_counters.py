"""Counters that grow whenever hardware slows itself down."""

from allnet_edge.measure.sensors.source import Source

# NVIDIA, Jetson Orin platform power: what each counter counts.
_EVENTS = {
    "oc1": "under-voltage (oc1)",
    "oc2": "average over-current (oc2)",
    "oc3": "instantaneous over-current (oc3)",
}


def read_counters(source: Source) -> dict[str, int]:
    """Events since the boot, by name; what is not there is absent.

    An x86 processor counts its thermal throttling for each core and package, a Jetson the events of
    its supply (``oc1`` to ``oc3``).
    """
    found: dict[str, int] = {}
    for path in source.matching("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_count"):
        parts = path.split("/")
        _keep(found, f"{parts[4]} {parts[-1].removesuffix('_throttle_count')}", source.number(path))
    for path in source.matching("sys/class/hwmon/hwmon*/oc*_event_cnt"):
        name = path.rpartition("/")[2].removesuffix("_event_cnt")
        _keep(found, _EVENTS.get(name, f"supply event {name}"), source.number(path))
    return found


def grown(before: dict[str, int], after: dict[str, int]) -> tuple[str, ...]:
    """What was counted between two readings, in words."""
    return tuple(
        f"{name} (+{count - before[name]})"
        for name, count in after.items()
        if name in before and count > before[name]
    )


def _keep(found: dict[str, int], name: str, value: int | None) -> None:
    if value is not None:
        found[name] = value
