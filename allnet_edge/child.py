"""What a process that works for another one owes to it: to tell over a pipe, and to die with it."""

import ctypes
import json
import os
import signal
from collections.abc import Mapping

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """End at once when the parent ends (Linux only).

    A killed parent must not leave a process behind that goes on writing, or that heats the device.

    Args:
        parent: Its process id, as it gave it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


def tell(pipe: int, message: Mapping[str, object]) -> None:
    """Write one JSON object as a line into the pipe of that number."""
    os.write(pipe, json.dumps(message).encode() + b"\n")


def ending(code: int) -> str:
    """How a process ended, in words, from its return code as ``subprocess`` gives it."""
    if code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}, a crash in a native library"
