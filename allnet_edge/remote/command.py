"""Our own commands on the device, with what they say while they run."""

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from allnet_edge.errors import EnvironmentMismatch
from allnet_edge.remote.copy import BENCH, BUNDLES, which_bundle
from allnet_edge.remote.session import Session
from allnet_edge.remote.ssh import FAILED, NOT_FOUND, Device, failure, quoted, quoted_path

_KEPT_LINES = 60
# The job ends when the connection does: `cat` sees the end of stdin, which we hold open.
_GUARDED = """
cd {folder} && mkdir -p {bench} || exit 2
exec 3<&0
{job} </dev/null 3<&- & job=$!
{{ cat <&3; kill "$job"; }} >/dev/null 2>&1 & watch=$!
exec 3<&-
wait "$job"; code=$?
kill "$watch" 2>/dev/null
exit $code
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended on the device.

    Attributes:
        bundle: Name of the bundle that it worked on.
        code: Its exit code: one of the contract's.
        output: What it printed, where that was captured.
    """

    bundle: str
    code: int
    output: str


def run_there(
    device: Device, verb: str, name: str | None, arguments: Sequence[str], *, capture: bool
) -> Ended:
    """Run ``allnet-edge VERB BUNDLE ARGUMENTS`` on a device; its stderr comes here as it is told.

    Args:
        verb: A command whose first argument is a bundle; ``bench`` writes to ``bench/<bundle>``.
        name: Of the bundle there; None for the only one.
        capture: Keep what it prints, instead of passing it on.

    Raises:
        UsageError: No such bundle there.
        EnvironmentMismatch: No connection, no Python, the package is not installed there, or the
            connection was cut, which ends the command.
    """
    with Session(device) as session:
        chosen = which_bundle(session, name)
    words = ["-m", "allnet_edge", verb, f"{BUNDLES}/{chosen}", *arguments]
    if verb == "bench" and not {"-o", "--out"} & set(arguments):
        words += ["-o", f"{BENCH}/{chosen}"]
    job = " ".join([quoted_path(device.python), *map(quoted, words)])
    script = _GUARDED.format(folder=quoted_path(device.folder), bench=BENCH, job=job)
    process = subprocess.Popen(
        device.command(script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    told: deque[str] = deque(maxlen=_KEPT_LINES)
    with process:
        listener = threading.Thread(target=_pass_on, args=(process.stderr, told))
        listener.start()
        output = process.stdout.read() if process.stdout else ""
        listener.join()
        code = process.wait()
    _check(device, code, "".join(told))
    return Ended(chosen, code, output)


def _pass_on(source: IO[str] | None, kept: deque[str]) -> None:
    for line in source or ():
        sys.stderr.write(line)
        sys.stderr.flush()
        kept.append(line)


def _check(device: Device, code: int, told: str) -> None:
    if code == FAILED or code in NOT_FOUND:
        raise failure(device, code, told, connected=code == FAILED)
    if code == 1 and "No module named allnet_edge" in told:
        raise EnvironmentMismatch(
            f"{device.python} on {device.host} does not have this package",
            fix="allnet-edge device push --wheel FILE copies it there and says how to install it; "
            "a Python of a virtual environment is named with --python",
        )
