"""What machine this is, as far as a measurement depends on it.

Nothing that names the machine, its user or its folders is read. Every source is a file under an
injectable root, so that recorded files of real devices can stand in for it.
"""

import os
import platform
import re
import resource
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SerializerFunctionWrapHandler, model_serializer

from allnet_edge.spec.base import Frozen

DeviceClass = Literal["jetson", "raspberry-pi", "host-proxy"]

# Parts of Arm's own designs (implementer 0x41) and NVIDIA's (0x4e), as /proc/cpuinfo codes them.
_ARM_CORES = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd83"): "Neoverse-V3AE",
    ("0x4e", "0x003"): "Denver 2",
    ("0x4e", "0x004"): "Carmel",
}


class Machine(Frozen):
    """The ``device`` of bench.json; null where a figure cannot be read.

    Attributes:
        device_class: Written as ``class``: ``jetson``, ``raspberry-pi``, or ``host-proxy`` for any
            other machine, whose figures say nothing absolute about a device.
        model: The board's name from its device tree; on a host-proxy the architecture.
        cpu: Processor, distinct core types joined by " + ".
        cores: Processors that are online.
        usable_cores: Processors that this process may use.
        memory_mb: Physical memory, MiB.
        available_mb: Of it free for a new program, MiB.
        os: Name and version of the system.
        kernel: Version number of the kernel, without its builder's suffix.
        l4t: Jetson Linux release, for instance ``36.4.3``.
        governor: CPU frequency governors in use, sorted and joined by " + ".
        load_1min: Mean number of runnable tasks over the last minute.
        python: Version of the interpreter.
        packages: Version of each package asked for; null where it is not installed.
    """

    device_class: DeviceClass = Field(validation_alias=AliasChoices("class", "device_class"))
    model: str
    cpu: str | None
    cores: int
    usable_cores: int
    memory_mb: int | None
    available_mb: int | None
    os: str | None
    kernel: str | None
    l4t: str | None
    governor: str | None
    load_1min: float | None
    python: str
    packages: dict[str, str | None] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _named_as_in_bench_json(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields: dict[str, object] = handler(self)
        return {"class": fields.pop("device_class"), **fields}


def describe(packages: Sequence[str] = (), root: Path = Path("/")) -> Machine:
    """Read what this machine is.

    Args:
        packages: Distributions whose versions the measurement depends on.
        root: Where ``proc``, ``sys`` and ``etc`` lie; a folder of recorded files in tests.
    """
    board, l4t = _board(root), _l4t(root)
    info = _read(root, "proc/cpuinfo") or ""
    return Machine(
        device_class=_device_class(board, l4t),
        model=board or platform.machine(),
        cpu=_cpu(info),
        cores=len(re.findall(r"^processor\s*:", info, re.M)) or os.cpu_count() or 1,
        usable_cores=len(os.sched_getaffinity(0)),
        memory_mb=_meminfo(root, "MemTotal"),
        available_mb=_meminfo(root, "MemAvailable"),
        os=_os_name(root),
        kernel=_kernel(root),
        l4t=l4t,
        governor=_governor(root),
        load_1min=load_1min(root),
        python=platform.python_version(),
        packages={name: package_version(name) for name in packages},
    )


def package_version(name: str) -> str | None:
    """Version of an installed distribution, without importing it; None where it is absent."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def peak_rss_mb(root: Path = Path("/")) -> float:
    """The most physical memory that this process has held so far, MiB."""
    status = _read(root, "proc/self/status") or ""
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.M)
    kib = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / 1024


def load_1min(root: Path = Path("/")) -> float | None:
    """Mean number of runnable tasks over the last minute."""
    text = _read(root, "proc/loadavg")
    return float(text.split()[0]) if text else None


class OtherLoad:
    """How busy other programs keep the processors while this one measures.

    The time that all programs used, minus that of this process with all its threads. Time that
    the host of a virtual machine takes away is not seen.

    Args:
        root: Where ``proc`` lies.
        own_seconds: Processor time of this process so far.
        wall_seconds: Any clock that runs on.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        own_seconds: Callable[[], float] = time.process_time,
        wall_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root, self._own, self._wall = root, own_seconds, wall_seconds
        self._start: tuple[float, float] | None = None

    def start(self) -> None:
        """Begin the span that ``share`` looks back on."""
        busy = _busy(self._root)
        self._start = None if busy is None else (busy[0] - self._own(), self._wall())

    def share(self) -> float | None:
        """Share of all processors that others used since ``start``, 0..1; None if unreadable."""
        busy = _busy(self._root)
        if self._start is None or busy is None:
            return None
        others = busy[0] - self._own() - self._start[0]
        elapsed = self._wall() - self._start[1]
        return min(1.0, max(0.0, others / (elapsed * busy[1]))) if elapsed > 0 else None


def _busy(root: Path) -> tuple[float, int] | None:
    """Processor seconds that all programs have used since the start, and how many processors."""
    text = _read(root, "proc/stat") or ""
    found = re.search(r"^cpu +(.*)$", text, re.M)
    if not found:
        return None
    user, nice, system, _idle, _wait, irq, softirq = (int(part) for part in found[1].split()[:7])
    ticks = os.sysconf("SC_CLK_TCK")
    cores = len(re.findall(r"^cpu\d+ ", text, re.M))
    return (user + nice + system + irq + softirq) / ticks, max(1, cores)


def _device_class(board: str | None, l4t: str | None) -> DeviceClass:
    # A carrier board may bear its maker's name, a container lack the release file: either tells.
    if l4t or (
        board and re.search(r"jetson|nvidia (agx |igx )?(orin|xavier|thor|tx)", board, re.I)
    ):
        return "jetson"
    return "raspberry-pi" if board and board.startswith("Raspberry Pi") else "host-proxy"


def _board(root: Path) -> str | None:
    for path in ("proc/device-tree/model", "sys/firmware/devicetree/base/model"):
        text = _read(root, path)
        if text:
            return text
    return None


def _cpu(info: str) -> str | None:
    names = re.findall(r"^model name\s*:\s*(.+)$", info, re.M)
    pairs = zip(
        re.findall(r"^CPU implementer\s*:\s*(\S+)$", info, re.M),
        re.findall(r"^CPU part\s*:\s*(\S+)$", info, re.M),
        strict=False,
    )
    cores = [_ARM_CORES.get(pair, f"Arm {pair[0]}:{pair[1]}") for pair in pairs]
    return " + ".join(dict.fromkeys(cores or names)) or None


def _meminfo(root: Path, key: str) -> int | None:
    found = re.search(rf"^{key}:\s*(\d+) kB", _read(root, "proc/meminfo") or "", re.M)
    return int(found[1]) // 1024 if found else None


def _os_name(root: Path) -> str | None:
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read(root, "etc/os-release") or "", re.M)
    return found[1] if found else None


def _kernel(root: Path) -> str | None:
    found = re.match(r"[\d.]+\d", _read(root, "proc/sys/kernel/osrelease") or "")
    return found[0] if found else None


def _l4t(root: Path) -> str | None:
    release = _read(root, "etc/nv_tegra_release") or ""
    found = re.search(r"# R(\d+) \(release\), REVISION: ([\d.]+)", release)
    return f"{found[1]}.{found[2]}" if found else None


def _governor(root: Path) -> str | None:
    folder = root / "sys/devices/system/cpu"
    files = folder.glob("cpu[0-9]*/cpufreq/scaling_governor")
    found = {_read(root, str(path.relative_to(root))) for path in files}
    return " + ".join(sorted(name for name in found if name)) or None


def _read(root: Path, path: str) -> str | None:
    """The file's text without the device tree's trailing NUL; None where it cannot be read."""
    try:
        text = (root / path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.strip("\0\n \t") or None
