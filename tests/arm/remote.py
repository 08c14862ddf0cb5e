"""``allnet-edge device`` with an emulated board at the far end of a real OpenSSH connection."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

from emulator import Board
from findings import Failures, Subject

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ssh_server import NAME, SshServer


def check(subject: Subject, board: Board, folder: Path, failures: Failures) -> None:
    """Push a bundle, verify it on the board, and bring its reports back."""
    folder.mkdir()
    there, back = folder / "there", folder / "back"
    settings = ["--dir", there, "--python", _python_of(board, folder / "python3")]
    server = SshServer(_made(folder / "sshd"))
    server.start()
    try:
        settings += ["--ssh-config", server.config, "--json"]
        _run(failures, "push", NAME, subject.bundle, *settings)
        told = _run(failures, "verify", NAME, *settings)
        golden = (told.get("result") or {}).get("golden", [])
        statuses = {one["candidate"]: one["status"] for one in golden}
        failures.check(set(statuses.values()) == {"match"}, f"device verify: {statuses}")
        (there / "bundles" / subject.name / "engine").mkdir()
        (there / "bundles" / subject.name / "engine" / "timing.cache").write_bytes(b"made there")
        _run(failures, "pull", NAME, "-o", back, *settings)
        brought = back / subject.name / "engine" / "timing.cache"
        failures.check(brought.is_file(), "device pull: it brought nothing back")
    finally:
        server.stop()


def _run(failures: Failures, verb: str, *arguments: object) -> dict[str, object]:
    command = [sys.executable, "-m", "allnet_edge", "device", verb, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    failures.check(done.returncode == 0, f"device {verb}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout) if done.returncode == 0 else {}


def _python_of(board: Board, path: Path) -> Path:
    """What stands for the board's Python: the same command and settings as everywhere here."""
    command, environment = board.command()
    settings = " ".join(shlex.quote(f"{name}={value}") for name, value in environment.items())
    path.write_text(f'#!/bin/sh\nexec env -i {settings} {shlex.join(command)} "$@"\n')
    path.chmod(0o755)
    return path


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
