"""What this run needs of Debian: packages on this machine, and the root folder of an arm64 one."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from allnet_edge.errors import EnvironmentMismatch

REPOSITORY = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
# python3-minimal lacks modules that pip needs; the runtimes are written in C++.
PACKAGES = ("libstdc++6", "python3", "python3-pip")
MADE_AS = 1  # to be raised when a root made before no longer serves


def install() -> None:
    """Install the Debian packages of this run, where they are not there yet.

    Raises:
        EnvironmentMismatch: Not Debian 12, no apt, not root, or no mirror: says which.
    """
    release = _release()
    if release != SUITE:
        raise EnvironmentMismatch(
            f"this machine runs '{release}', not Debian 12 ({SUITE})",
            fix="run it in Debian 12 on x86-64: its qemu counts instructions, and the counts that "
            "are committed belong to its Python",
        )
    done = subprocess.run(
        [REPOSITORY / ".ci" / "debian", "arm"], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise EnvironmentMismatch(
            f"Debian packages of this run are not installed: {done.stderr.strip()}",
            fix="see .ci/debian-packages",
        )


def root() -> Path:
    """The root folder of an arm64 Debian with Python and pip; made once, then kept.

    It lies under the user's cache, under a name made of what is in it. Runs side by side may each
    make one: the first to finish is kept.

    Raises:
        EnvironmentMismatch: The mirror cannot be reached, or the disk is full.
    """
    what = json.dumps([SUITE, PACKAGES, MADE_AS])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "allnet-edge-arm"
    final = cache / f"root-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
    if final.is_dir():
        return final
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="making-") as folder:
        made = Path(folder) / "root"
        _bootstrap(made)
        # Python under emulation is to look names up as this machine does now.
        for name in ("resolv.conf", "hosts", "hostname"):
            (made / "etc" / name).unlink(missing_ok=True)
        try:
            made.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    return final


def _bootstrap(target: Path) -> None:
    command = [
        "mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64",
        f"--include={','.join(PACKAGES)}", *_network_options(), SUITE, target, _mirror(),
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(target, ignore_errors=True)
        raise EnvironmentMismatch(
            f"mmdebstrap could not make an arm64 root: {_tail(done.stderr)}",
            fix="check that the Debian mirror of this machine's apt can be reached: apt-get update",
        )


def _mirror() -> str:
    """The address of the Debian archive, as this machine's own apt knows it."""
    listed = ["apt-get", "indextargets", "--format", "$(CODENAME) $(ORIGIN) $(COMPONENT) $(SITE)"]
    for attempt in range(2):
        found = subprocess.run(
            [*listed, "Created-By: Packages"], check=False, capture_output=True, text=True
        )
        for line in found.stdout.splitlines():
            words = line.split()
            if words[:3] == [SUITE, "Debian", "main"]:
                return f"deb {words[3]} {SUITE} main"
        if attempt == 0:  # the lists may be absent, as in a fresh container
            subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
    raise EnvironmentMismatch(
        f"apt of this machine knows no Debian mirror with {SUITE}/main",
        fix="add one to the sources of apt, then apt-get update",
    )


def _network_options() -> list[str]:
    """Proxies and certificates of this machine's apt, which mmdebstrap does not look at."""
    dump = subprocess.run(["apt-config", "dump"], check=False, capture_output=True, text=True)
    wanted = ("Acquire::http::", "Acquire::https::", "Acquire::Retries")
    return [
        f"--aptopt={line.rstrip(';')}"
        for line in dump.stdout.splitlines()
        if line.startswith(wanted) and not line.endswith('"";')
    ]


def _release() -> str:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return "an unknown system"
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    return told.get("VERSION_CODENAME", told.get("ID", "an unknown system")).strip('"')


def _tail(text: str, lines: int = 6) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
