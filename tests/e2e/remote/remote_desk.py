"""What the tests of ``allnet-edge device`` share: a user's machine, a device, and how they look."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from build_support import run
from ssh_server import NAME, SshServer

MIB = 1 << 20


@dataclass(frozen=True)
class Desk:
    """A user's machine, and the folder of the device."""

    server: SshServer
    there: Path

    def device(self, verb: str, *arguments: object, **options: object):
        settings = ("--ssh-config", self.server.config, "--dir", self.there)
        if "--python" not in arguments:
            settings = (*settings, "--python", sys.executable)
        split = arguments.index("--") if "--" in arguments else len(arguments)
        before, after = arguments[:split], arguments[split:]
        return run("device", verb, NAME, *before, *settings, *after, **options)


def told(process) -> dict:
    return json.loads(process.stdout)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def wrapper(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path
