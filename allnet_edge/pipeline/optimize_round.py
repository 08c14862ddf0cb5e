"""One round of latency in a process of its own, which does nothing else.

The process that asks draws progress bars from a thread of its own; here no thread of Python's gets
between a query and its time. A runtime that crashes ends the round alone, and what runtimes print
goes to a log. The request is read from stdin; one JSON object a line is written to the pipe whose
number is the first argument: the file that had its turn, and at the end the turns or the error.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt

from allnet_edge.data.images import load_batch
from allnet_edge.engines.opening import open_file
from allnet_edge.errors import (
    AllnetEdgeError,
    BenchmarkInvalid,
    error_from_json,
    error_to_json,
    first_line,
)
from allnet_edge.measure.latency import Mode
from allnet_edge.measure.system import OtherLoad
from allnet_edge.search.rounds import ROUNDS, Open, Query, Turn, measure_round
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.network import Preprocess

Pixels = npt.NDArray[np.uint8]


class TimedFile(Frozen):
    """A model file to be measured.

    Attributes:
        sha256: Its name in a round.
        images: Validation cells that it is asked, in turn; zeros would be faster than any image.
        preprocess: As its network wants them.
    """

    sha256: str
    path: Path
    images: tuple[Path, ...]
    preprocess: Preprocess


class RoundRequest(Frozen):
    """What is measured, and how."""

    files: tuple[TimedFile, ...]
    number: int
    mode: Mode
    threads: int | None


class MeasuredRound(Frozen):
    """One round.

    Attributes:
        turns: By the file's SHA-256.
        other_load: Share of all processors that other programs used, 0..1; None if unreadable.
    """

    turns: dict[str, Turn]
    other_load: float | None


def run_round(request: RoundRequest, log: Path, told: Callable[[], None]) -> MeasuredRound:
    """Measure one round in another process.

    Args:
        log: What that process and its libraries print is added to it.
        told: Called when a file had its turn.

    Raises:
        AllnetEdgeError: What went wrong there.
        BenchmarkInvalid: It ended without an answer.
    """
    reader, writer = os.pipe()
    with log.open("ab") as stream, os.fdopen(reader, encoding="utf-8") as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(writer)],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            pass_fds=(writer,),
        )
        os.close(writer)
        try:
            if process.stdin is None:
                raise AllnetEdgeError("the process of a round has no stdin")
            with process.stdin as pipe:
                pipe.write(request.model_dump_json().encode())
            for line in messages:
                message = json.loads(line)
                if "error" in message:
                    raise error_from_json(message["error"])
                if "round" in message:
                    return MeasuredRound.model_validate(message["round"])
                told()
            code = process.wait()
        finally:
            process.kill()
            process.wait()
    if code == 130:  # Ctrl-C reaches the whole process group
        raise KeyboardInterrupt
    raise BenchmarkInvalid(
        f"a round of latency ended with exit code {code}",
        where=log,
        fix="the log has the whole story; the same command goes on at this round",
    )


def main() -> int:
    """Measure one round; the exit code is that of its error."""
    pipe, parent = int(sys.argv[1]), os.getppid()
    request = RoundRequest.model_validate_json(sys.stdin.buffer.read())

    def told(sha256: str) -> None:
        if os.getppid() != parent:  # a killed search must not leave a busy process behind
            os._exit(1)
        _send(pipe, {"turn": sha256})

    try:
        images = _Images()
        files = {one.sha256: _opener(one, request.threads, images) for one in request.files}
        load = OtherLoad()
        load.start()
        turns = measure_round(files, request.number, ROUNDS[request.mode], told=told)
        found = MeasuredRound(turns=turns, other_load=load.share())
    except KeyboardInterrupt:
        return 130
    except AllnetEdgeError as error:
        _send(pipe, {"error": error_to_json(error)})
        return error.exit_code
    except Exception as error:  # noqa: BLE001  # the parent is told of every error there is
        invalid = BenchmarkInvalid(f"a query failed: {type(error).__name__}: {first_line(error)}")
        _send(pipe, {"error": error_to_json(invalid)})
        return invalid.exit_code
    _send(pipe, {"round": found.model_dump(mode="json")})
    return 0


def _send(pipe: int, message: dict[str, object]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:  # a long line may not fit into the pipe at once
        data = data[os.write(pipe, data) :]


def _opener(file: TimedFile, threads: int | None, images: "_Images") -> Open:
    return lambda: _opened(file, threads, images)


@contextmanager
def _opened(file: TimedFile, threads: int | None, images: "_Images") -> Iterator[Query]:
    turns = cycle([image[None] for image in images.of(file)])
    with open_file(file.path, threads) as runner:
        yield lambda: runner.infer(next(turns))


class _Images:
    """Decoded once for all files that want the same."""

    def __init__(self) -> None:
        self._known: dict[str, Pixels] = {}

    def of(self, file: TimedFile) -> Pixels:
        """uint8 [n, size, size, 3]."""
        key = json.dumps([list(map(str, file.images)), file.preprocess.model_dump(mode="json")])
        if key not in self._known:
            self._known[key] = load_batch(list(file.images), file.preprocess)
        return self._known[key]


if __name__ == "__main__":
    sys.exit(main())
