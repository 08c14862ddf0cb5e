"""One connection with our agent at its far end."""

import errno
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from allnet_edge.errors import AllnetEdgeError, EnvironmentMismatch, StorageError
from allnet_edge.remote import agent
from allnet_edge.remote.ssh import Device, failure, quoted_path

Answer = Mapping[str, object]
_GREETING_LINES = 200  # what a login script may print before our agent speaks
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Session:
    """The agent on a device, to be used in ``with``.

    Attributes:
        device: Where it is.
        hello: What the agent told of itself: ``python`` and ``machine``.

    Raises:
        EnvironmentMismatch: On enter: no connection, an unknown host key, no Python.
        IntegrityError: On enter: another host key than the known one.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.hello: Answer = {}

    def __enter__(self) -> "Session":
        source = Path(agent.__file__).read_bytes()
        start = f"import sys;exec(sys.stdin.buffer.read({len(source)}).decode())"
        command = self.device.command(f"exec {quoted_path(self.device.python)} -u -c '{start}'")
        self._told: IO[bytes] = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._told
        )
        try:
            self._send(source)
            self.hello = self._greeting()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def ask(self, do: str, **details: object) -> Answer:
        """One request and its answer.

        Args:
            do: An action of the agent.
            details: Its arguments: plain data.

        Raises:
            ConnectionCutError: The connection ended.
            StorageError: The disk over there is full or refuses.
        """
        self._send(json.dumps({"do": do, **details}).encode() + b"\n")
        return self._answer()

    def put(self, payload: Iterator[bytes], **details: object) -> bool:
        """Send the bytes of a file; whether it is whole over there. Raises like ``ask``."""
        self._send(json.dumps({"do": "put", **details}).encode() + b"\n")
        for data in payload:
            self._send(data)
        return self._answer()["whole"] is True

    def fetch(self, keep: Callable[[bytes], object], **details: object) -> None:
        """A ``get``: its bytes go to ``keep`` as they come; raises like ``ask``."""
        left = int(str(self.ask("get", **details)["bytes"]))
        while left > 0:
            data = self._out.read1(min(left, agent.CHUNK))  # type: ignore[attr-defined]
            if not data:
                raise self._failure()
            keep(data)
            left -= len(data)

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101 - a pipe, as asked for
        return self._process.stdout

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            # An agent that gave up has said why.
            if self.hello:
                self._answer()
            raise self._failure() from None

    def _answer(self) -> Answer:
        line = self._out.readline()
        if not line.endswith(b"\n"):
            raise self._failure()
        answer: Answer = json.loads(line)
        if "error" in answer:
            raise _disk_error(self.device, answer)
        return answer

    def _greeting(self) -> Answer:
        """Pass over what a login script printed."""
        for _ in range(_GREETING_LINES):
            line = self._out.readline()
            if not line:
                break
            if agent.MAGIC.encode() in line:
                hello: Answer = json.loads(line[line.index(b"{") :])
                return hello
        raise self._failure()

    def _failure(self) -> AllnetEdgeError:
        self._close()
        self._told.seek(0)
        told = self._told.read().decode(errors="replace")
        return failure(self.device, self._process.returncode, told, connected=bool(self.hello))

    def _close(self) -> None:
        process = self._process
        with suppress(BrokenPipeError):  # what was not sent yet
            if process.stdin is not None:
                process.stdin.close()
        self._out.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _disk_error(device: Device, answer: Answer) -> AllnetEdgeError:
    disk = answer["disk"]
    told = disk if isinstance(disk, dict) else {}
    full = told.get("errno") in _NO_ROOM
    kind = StorageError if full else EnvironmentMismatch
    return kind(
        f"{'the disk of ' if full else ''}{device.host} refuses: {answer['error']}",
        where=told.get("where"),
        fix="make room there, then run the same command again: it goes on where it stood"
        if full
        else "check that the folder there can be written (--dir)",
    )
