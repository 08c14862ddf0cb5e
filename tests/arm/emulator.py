"""An emulated Raspberry Pi: a processor, the files that describe it, a Python that runs on it."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from allnet_edge.errors import AllnetEdgeError, EnvironmentMismatch

CORES = 4
# kind, level, KiB, cores that share one
Cache = tuple[str, int, int, int]


@dataclass(frozen=True)
class Profile:
    """One processor; the files must say what ``-cpu`` says, or the runtimes choose wrongly.

    Attributes:
        cpu: Its name to qemu.
        board: The board that has it.
        part: CPU part of the main ID register; ``variant`` and ``revision`` likewise.
        features: As the board's kernel lists them.
        mhz: Highest and lowest clock.
    """

    cpu: str
    board: str
    part: int
    variant: int
    revision: int
    features: str
    mhz: tuple[int, int]
    caches: tuple[Cache, ...]


PROFILES = (
    Profile(
        cpu="cortex-a76",
        board="Raspberry Pi 5",
        part=0xD0B,
        variant=4,
        revision=1,
        features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm "
        "lrcpc dcpop asimddp",
        mhz=(2400, 1500),
        caches=(
            ("Data", 1, 64, 1), ("Instruction", 1, 64, 1), ("Unified", 2, 512, 1),
            ("Unified", 3, 2048, 4),
        ),
    ),
    Profile(
        cpu="cortex-a72",
        board="Raspberry Pi 4",
        part=0xD08,
        variant=0,
        revision=3,
        features="fp asimd evtstrm crc32 cpuid",
        mhz=(1800, 600),
        caches=(("Data", 1, 32, 1), ("Instruction", 1, 48, 1), ("Unified", 2, 1024, 4)),
    ),
)  # fmt: skip


class GuestError(AllnetEdgeError):
    """A program under emulation ended with an error."""


@dataclass(frozen=True)
class Board:
    """A profile at work.

    Attributes:
        prefix: What the emulated program sees in place of ``/``, where it has the file.
        site: Where its Python packages are.
    """

    profile: Profile
    prefix: Path
    site: Path

    def command(self, plugin: tuple[Path, Path] | None = None) -> tuple[list[str], dict[str, str]]:
        """How the board's Python is started, and its environment, which depends on no machine."""
        counting = [] if plugin is None else ["-plugin", f"{plugin[0]},out={plugin[1]}"]
        python = str(self.prefix / "usr" / "bin" / "python3")
        environment = {
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "OPENBLAS_NUM_THREADS": "1",  # numpy's threads spin for a second each
            "PATH": "/usr/bin:/bin",
            "PYTHONHASHSEED": "0",
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": str(self.site),
            "QEMU_LD_PREFIX": str(self.prefix),
        }
        return ["qemu-aarch64", "-cpu", self.profile.cpu, *counting, python], environment

    def python(
        self,
        *arguments: object,
        expect: Sequence[int] = (0,),
        plugin: tuple[Path, Path] | None = None,
        environment: dict[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run Python under emulation.

        Args:
            expect: Exit codes that are no failure.
            plugin: A plugin of qemu, and the file that it writes.
            environment: Instead of the fixed one.

        Raises:
            GuestError: Another exit code; with the end of what it printed.
        """
        command, fixed = self.command(plugin)
        done = subprocess.run(
            [*command, *map(str, arguments)],
            check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env={**environment, "QEMU_LD_PREFIX": str(self.prefix)} if environment else fixed,
        )  # fmt: skip
        if done.returncode not in expect:
            told = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
            raise GuestError(
                f"exit {done.returncode} on an emulated {self.profile.board}: python3 "
                f"{' '.join(map(str, arguments))}\n{told}"
            )
        return done


def board(profile: Profile, root: Path, folder: Path, site: Path) -> Board:
    """Lay a processor's files over a root, without touching the root."""
    prefix = folder / profile.cpu
    prefix.mkdir(parents=True)
    # Not /tmp and the like: files that the program makes go to this machine's folders.
    for name in ("bin", "etc", "lib", "sbin", "usr"):
        (prefix / name).symlink_to(root / name)
    _write(prefix / "proc" / "cpuinfo", "\n".join(_cpuinfo(profile, n) for n in range(CORES)))
    cpus = prefix / "sys" / "devices" / "system" / "cpu"
    for name in ("possible", "present", "online"):
        _write(cpus / name, f"0-{CORES - 1}\n")
    for core in range(CORES):
        for name, content in _core_files(profile, core).items():
            _write(cpus / f"cpu{core}" / name, f"{content}\n")
    return Board(profile, prefix, site)


def counter(folder: Path) -> Path:
    """Compile the plugin that counts instructions."""
    library = folder / "insn_count.so"
    source = Path(__file__).with_name("insn_count.c")
    done = subprocess.run(
        ["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise EnvironmentMismatch(f"the counter does not compile: {done.stderr}", where=source)
    return library


def host_environment() -> dict[str, str]:
    """This machine's own, for pip: its settings say where packages come from."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name != "VIRTUAL_ENV"
    }


def _cpuinfo(profile: Profile, core: int) -> str:
    return (
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {profile.features}\n"
        f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: {profile.variant:#x}\n"
        f"CPU part\t: {profile.part:#x}\nCPU revision\t: {profile.revision}\n"
    )


def _core_files(profile: Profile, core: int) -> dict[str, object]:
    """What a kernel tells of one core: its clock, its neighbours, its caches."""
    every = f"0-{CORES - 1}"
    found: dict[str, object] = {
        "cpufreq/cpuinfo_max_freq": profile.mhz[0] * 1000,
        "cpufreq/cpuinfo_min_freq": profile.mhz[1] * 1000,
        "topology/physical_package_id": 0,
        "topology/core_id": core,
        "topology/thread_siblings_list": core,
        "topology/core_siblings_list": every,
        "topology/cluster_cpus_list": every,
        "topology/package_cpus_list": every,
    }
    for index, (kind, level, size, shared) in enumerate(profile.caches):
        below = f"cache/index{index}"
        found |= {
            f"{below}/type": kind,
            f"{below}/level": level,
            f"{below}/size": f"{size}K",
            f"{below}/coherency_line_size": 64,
            f"{below}/shared_cpu_list": core if shared == 1 else every,
        }
    return found


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
