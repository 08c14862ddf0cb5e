"""Starting a process that measures, listening to it, and reading the sensors meanwhile."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from allnet_edge.child import ending
from allnet_edge.device.bench.job import Answer, Job, Tick
from allnet_edge.errors import (
    AllnetEdgeError,
    ConversionError,
    EnvironmentMismatch,
    error_from_json,
)
from allnet_edge.measure.sensors.readings import Reading, read_now
from allnet_edge.measure.sensors.source import Source

SECONDS_BETWEEN_READINGS = 1.0

Follow = Callable[[Tick, Reading], None]
"""Told of every tick, with what the sensors said last."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What came of one process.

    Attributes:
        answer: What it told.
        readings: Of the sensors, from its start to its end.
        measuring: Those of them that fall into its first run of measured queries.
    """

    answer: Answer
    readings: tuple[Reading, ...]
    measuring: tuple[Reading, ...]


def launch(job: Job, source: Source, follow: Follow) -> Watched:
    """Run one job in a fresh process and wait for it.

    The sensors are read here, in the parent, so that they take no time from the process that is
    measured.

    Raises:
        AllnetEdgeError: The worker's own error, as it raised it.
        EnvironmentMismatch: It was killed, or ran out of memory.
        ConversionError: A native library crashed.
    """
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "allnet_edge.device.bench.worker", str(writer), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(writer,),
        text=False,
    )
    os.close(writer)
    listener = _Listener(source, follow)
    try:
        if process.stdin is None or process.stderr is None:
            raise AllnetEdgeError("the worker has no stdin")
        with process.stdin as request:
            request.write(job.model_dump_json().encode())
        for message in _messages(reader, process.stderr.fileno(), listener):
            listener.hear(message)
        code = process.wait()
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        if process.stderr is not None:
            process.stderr.close()
    return listener.result(code, job)


def _messages(
    reader: int, errors: int, listener: "_Listener"
) -> Iterator[dict[str, dict[str, object]]]:
    """Lines of the pipe until it closes; between them the sensors are read."""
    rest, opened = b"", {reader, errors}
    while reader in opened:
        ready, _, _ = select.select(list(opened), [], [], listener.seconds_to_reading())
        listener.read_if_due()
        for descriptor in ready:
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                opened.discard(descriptor)
            elif descriptor == errors:
                listener.printed = (listener.printed + chunk)[-4000:]
            else:
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(json.loads, lines)


class _Listener:
    """Keeps what a process tells and what the sensors say."""

    def __init__(self, source: Source, follow: Follow) -> None:
        self._source, self._follow = source, follow
        self._readings = [read_now(source)]
        self._due = time.monotonic() + SECONDS_BETWEEN_READINGS
        self._measuring: list[float] = []
        self._over = False
        self._answer: Answer | None = None
        self._error: AllnetEdgeError | None = None
        self.printed = b""

    def seconds_to_reading(self) -> float:
        return max(0.0, self._due - time.monotonic())

    def read_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._readings.append(read_now(self._source))
            self._due = now + SECONDS_BETWEEN_READINGS

    def hear(self, message: "dict[str, dict[str, object]]") -> None:
        if "tick" in message:
            tick = Tick.model_validate(message["tick"])
            if tick.phase != "measuring":
                self._over = bool(self._measuring)
            elif not self._over:
                self._measuring.append(time.monotonic())
            self._follow(tick, self._readings[-1])
        elif "answer" in message:
            self._answer = Answer.model_validate(message["answer"])
        else:
            error = {key: _text(value) for key, value in message["error"].items()}
            self._error = error_from_json(error)

    def result(self, code: int, job: Job) -> Watched:
        self._readings.append(read_now(self._source))
        if self._error is not None:
            raise self._error
        if code == 130:  # Ctrl-C reaches the whole process group
            raise KeyboardInterrupt
        if code == -signal.SIGKILL:
            raise EnvironmentMismatch(
                f"measuring {job.candidate} was killed, as the system does for lack of memory",
                fix="close other programs, or take a device with more memory",
            )
        if self._answer is None:
            said = self.printed.decode(errors="replace").strip().rpartition("\n")[2]
            raise ConversionError(
                f"measuring {job.candidate} ended with {ending(code)}" + (f": {said}" * bool(said))
            )
        return Watched(self._answer, tuple(self._readings), tuple(self._in_first_run()))

    def _in_first_run(self) -> list[Reading]:
        if not self._measuring:
            return []
        begin, end = self._measuring[0], self._measuring[-1]
        return [reading for reading in self._readings if begin <= reading.at <= end]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
