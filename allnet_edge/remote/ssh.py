"""The system's own OpenSSH client: how it is called, and what its complaints mean.

Keys, jump hosts, agents and user names are those of ``~/.ssh/config``. A host key that is not known
is never accepted here, and nothing is ever asked: a person connects once by hand and looks.
"""

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from allnet_edge.errors import (
    AllnetEdgeError,
    EnvironmentMismatch,
    IntegrityError,
    MissingDependencyError,
    UsageError,
)

FAILED = 255
"""The client's exit code for its own failures; every other one is the far command's."""

NOT_FOUND = (126, 127)
OPTIONS = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "ClearAllForwardings=yes",
    "ConnectTimeout=15", "ServerAliveInterval=10", "ServerAliveCountMax=3",
)  # fmt: skip


class ConnectionCutError(EnvironmentMismatch):
    """The connection was there and ended before the work did."""


class UnreachableError(EnvironmentMismatch):
    """There is no connection: another name, no network, or the device is off."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that can be reached by ``ssh``.

    Attributes:
        host: As the user types it: ``pi@bench``, or a name of ``~/.ssh/config``.
        folder: Where everything of ours lies there; ``~`` and relative paths mean the home.
        python: The Python that has the package, or the wrapper that starts it.
        ssh_config: Instead of the user's own.
    """

    host: str
    folder: str = "allnet-edge"
    python: str = "python3"
    ssh_config: Path | None = None

    def command(self, script: str) -> list[str]:
        """The command line that runs a script of POSIX sh there, whatever the login shell is.

        Raises:
            UsageError: A host that would be read as an option.
            MissingDependencyError: There is no ``ssh`` here.
        """
        if self.host.startswith("-") or not self.host.strip():
            raise UsageError(f"'{self.host}' is no name of a host", fix="write USER@HOST or HOST")
        if shutil.which("ssh") is None:
            raise MissingDependencyError(
                "there is no ssh on this machine", fix="install OpenSSH's client (openssh-client)"
            )
        config = ["-F", str(self.ssh_config)] if self.ssh_config else []
        options = [word for option in OPTIONS for word in ("-o", option)]
        return ["ssh", "-T", *config, *options, "--", self.host, f"exec sh -c {quoted(script)}"]

    def path(self, *parts: str) -> str:
        """A path below ``folder``."""
        return "/".join((self.folder.rstrip("/") or "/", *parts))


def quoted(text: str) -> str:
    """One word for the far shell."""
    return shlex.quote(text)


def quoted_path(path: str) -> str:
    """One word for the far shell, in which a leading ``~/`` still means the home."""
    return f"~/{quoted(path[2:])}" if path.startswith("~/") else quoted(path)


def failure(device: Device, code: int, told: str, *, connected: bool) -> AllnetEdgeError:
    """What went wrong, in plain words.

    Args:
        code: Exit code of the client.
        told: What it and the far side wrote to stderr.
        connected: Whether the far side had answered before.
    """
    refused = _refused(device, told)
    if refused is not None:
        return refused
    if code in NOT_FOUND:
        return EnvironmentMismatch(
            f"there is no Python at '{device.python}' on {device.host}",
            where=_last(told),
            fix="install it there (apt install python3), or name it with --python",
        )
    if connected:
        return ConnectionCutError(
            f"the connection to {device.host} was cut",
            where=_last(told),
            fix="run the same command again: it goes on where it stood",
        )
    if code == FAILED:
        return UnreachableError(
            f"{device.host} cannot be reached",
            where=_last(told),
            fix=f"check the name and the network: ssh {device.host}",
        )
    return EnvironmentMismatch(
        f"the far side of {device.host} does not answer as it should (exit {code})",
        where=_last(told),
        fix=f"check that this prints a version and nothing else: ssh {device.host} "
        f"{device.python} --version",
    )


def _refused(device: Device, told: str) -> AllnetEdgeError | None:
    """One of the two sides does not trust the other."""
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in told:
        return IntegrityError(
            f"the host key of {device.host} is not the one that is known: another machine answers, "
            "or this one was installed anew",
            where=_first(told, "Offending"),
            fix="ask whoever runs the device. If it was installed anew: ssh-keygen -R HOST, then "
            f"connect once by hand (ssh {device.host}) and compare the fingerprint",
        )
    if "Host key verification failed" in told or "host key is known for" in told:
        return EnvironmentMismatch(
            f"the host key of {device.host} is not known here, and none is accepted unseen",
            fix=f"connect once by hand (ssh {device.host}) and compare the fingerprint with what "
            "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on the device",
        )
    if "Permission denied (" in told:
        return EnvironmentMismatch(
            f"{device.host} refuses to let us in: no key of this machine is accepted there",
            fix=f"ssh-copy-id {device.host}; passwords are not asked for here",
        )
    return None


def _first(text: str, start: str) -> str | None:
    return next((line.strip() for line in text.splitlines() if line.startswith(start)), None)


def _last(text: str) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else None
