"""A device over the network: copy a bundle there, work with it there, bring results back."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from allnet_edge.cli.console import Console, JsonFlag, QuietFlag, verb_app

if TYPE_CHECKING:
    from allnet_edge.remote.copy import Copied
    from allnet_edge.remote.ssh import Device

app = verb_app()

Host = Annotated[str, typer.Argument(help="USER@HOST, or a name of ~/.ssh/config.")]
Folder = Annotated[
    str, typer.Option("--dir", help="Folder on the device that holds everything of ours.")
]
Python = Annotated[
    str, typer.Option("--python", help="Python on the device, as of a virtual environment.")
]
SshConfig = Annotated[
    Path | None, typer.Option("--ssh-config", help="Instead of ~/.ssh/config.", exists=True)
]
Name = Annotated[
    str | None, typer.Option("--bundle", help="Its name on the device; not needed for only one.")
]
Arguments = Annotated[
    list[str] | None, typer.Argument(help="After --: options for the command on the device.")
]
FOLDER, PYTHON = "allnet-edge", "python3"


@app.command()
def push(
    host: Host,
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    *,
    wheel: Annotated[
        Path | None, typer.Option(help="Copy this wheel of the package, too; it is not installed.")
    ] = None,
    folder: Folder = FOLDER,
    python: Python = PYTHON,
    ssh_config: SshConfig = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Copy a bundle to a device; what is there already is not sent again.

    A connection that is cut is made again, and the copy goes on where it stood. A file gets its
    name when it is whole and its hash is right, the bundle when all of its files are.
    """
    from allnet_edge.remote.copy import WHEELS, push_bundle, push_file

    console = Console(as_json=as_json, quiet=quiet)
    device = _device(host, folder, python, ssh_config)
    with console.progress() as progress:
        copied = push_bundle(device, bundle, progress=progress)
        also = push_file(device, wheel, WHEELS, progress=progress) if wheel else None
    install = f"{python} -m pip install '{also.where}[litert]'" if also else None
    lines = [_told(copied, f"{host}:{copied.where}")]
    if also:
        lines += [_told(also, f"{host}:{also.where}"), f"to install it, on the device: {install}"]
    payload = {
        "host": host,
        "bundle": _plain(copied),
        "wheel": _plain(also) if also else None,
        "install": install,
    }
    console.result(payload, "\n".join(lines))


@app.command("compile")
def compile_(
    host: Host,
    arguments: Arguments = None,
    *,
    name: Name = None,
    folder: Folder = FOLDER,
    python: Python = PYTHON,
    ssh_config: SshConfig = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run `allnet-edge compile` on a device: engines, gate, benchmark, choice.

    Paths after -- are those of the device. The exit code is that of the command there.
    """
    device = _device(host, folder, python, ssh_config)
    _run("compile", device, name, arguments, as_json=as_json, quiet=quiet)


@app.command()
def bench(
    host: Host,
    arguments: Arguments = None,
    *,
    name: Name = None,
    folder: Folder = FOLDER,
    python: Python = PYTHON,
    ssh_config: SshConfig = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run `allnet-edge bench` on a device; its report stays there until it is pulled."""
    device = _device(host, folder, python, ssh_config)
    _run("bench", device, name, arguments, as_json=as_json, quiet=quiet)


@app.command()
def verify(
    host: Host,
    arguments: Arguments = None,
    *,
    name: Name = None,
    folder: Folder = FOLDER,
    python: Python = PYTHON,
    ssh_config: SshConfig = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Run `allnet-edge verify` on a device: hashes, signature, golden tensors."""
    device = _device(host, folder, python, ssh_config)
    _run("verify", device, name, arguments, as_json=as_json, quiet=quiet)


@app.command()
def pull(
    host: Host,
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Gets NAME/engine, NAME/reports, NAME/bench.")
    ],
    name: Name = None,
    folder: Folder = FOLDER,
    python: Python = PYTHON,
    ssh_config: SshConfig = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Bring back what a device made of a bundle: engines, reports, benchmarks."""
    from allnet_edge.remote.copy import pull as bring_back

    console = Console(as_json=as_json, quiet=quiet)
    device = _device(host, folder, python, ssh_config)
    with console.progress() as progress:
        copied = bring_back(device, name, out, progress=progress)
    console.result({"host": host, **_plain(copied)}, _told(copied, copied.where))


def _device(host: str, folder: str, python: str, ssh_config: Path | None) -> "Device":
    from allnet_edge.remote.ssh import Device

    return Device(host, folder, python, ssh_config)


def _run(
    verb: str,
    device: "Device",
    name: str | None,
    arguments: list[str] | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    from allnet_edge.remote.command import run_there

    flags = [*(["--json"] if as_json else []), *(["--quiet"] if quiet else [])]
    ended = run_there(device, verb, name, [*(arguments or []), *flags], capture=as_json)
    if as_json:
        console = Console(as_json=True)
        console.result(
            {
                "host": device.host,
                "command": verb,
                "bundle": ended.bundle,
                "exit_code": ended.code,
                "result": _json(ended.output),
            },
            "",
        )
    if ended.code:
        raise typer.Exit(ended.code)


def _json(text: str) -> object:
    """The one object that the far command printed; None where it printed none."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return None
    return value


def _plain(copied: "Copied") -> dict[str, object]:
    return {
        "where": copied.where,
        "files": copied.files,
        "bytes": copied.size,
        "bytes_sent": copied.sent,
        "cuts": copied.cuts,
    }


def _told(copied: "Copied", where: str) -> str:
    moved = f"{copied.sent:,} of {copied.size:,} bytes moved" if copied.sent else "nothing to move"
    cuts = f", the connection was cut {copied.cuts} times" if copied.cuts else ""
    return f"{where}: {copied.files} files, {moved}{cuts}; hashes match"
