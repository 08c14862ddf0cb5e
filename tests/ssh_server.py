"""A real OpenSSH server on loopback, as the current user, with keys and settings of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
NAME = "device-under-test"


class SshServer:
    """A server in a folder; ``config`` is what a client's ``ssh -F`` needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "client_config"
        self.known_hosts = folder / "known_hosts"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("host", "user", "stranger"):
            new_key(folder / name)
        shutil.copyfile(folder / "user.pub", folder / "authorized_keys")
        self.trust(folder / "host.pub")
        self.configure()
        (folder / "server_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
            f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"PermitRootLogin prohibit-password\nPidFile {folder / 'pid'}\n"
        )

    def trust(self, key: Path) -> None:
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {key.read_text()}")

    def configure(self, *further: str, identity: str = "user") -> None:
        lines = (
            f"Host {NAME}", "HostName 127.0.0.1", f"Port {self.port}",
            f"User {pwd.getpwuid(os.getuid()).pw_name}", f"IdentityFile {self.folder / identity}",
            "IdentitiesOnly yes", "IdentityAgent none", f"UserKnownHostsFile {self.known_hosts}",
            "GlobalKnownHostsFile /dev/null", *further,
        )  # fmt: skip
        self.config.write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        if os.getuid() == 0:  # where a server that root runs puts its unprivileged part
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = (self.folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            [str(SSHD), "-D", "-e", "-f", str(self.folder / "server_config")], stderr=log
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "server.log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self.end_sessions()
            self._process.terminate()
            self._process.wait()
            self._process = None

    def end_sessions(self) -> int:
        """Kill every process that serves a connection; how many there were."""
        assert self._process is not None
        children = [
            int(stat.parent.name)
            for stat in Path("/proc").glob("[0-9]*/stat")
            if _parent(stat) == self._process.pid
        ]
        for child in children:
            os.kill(child, 9)
        return len(children)


def new_key(path: Path) -> None:
    for old in (path, path.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True
    )


def through(relay: Path, port: int, limit: int, mode: str, flag: Path) -> str:
    """The client's setting to go through ``ssh_relay.py``."""
    return f"ProxyCommand {sys.executable} -I -S {relay} {port} {limit} {mode} {flag}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it ended
        return 0
