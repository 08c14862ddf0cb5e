"""One stage in a process of its own.

TensorFlow, TensorRT, ONNX Runtime and LiteRT in one process share allocators, thread pools and
globals; a build that ran them all ended once in "double free or corruption". A stage that always
starts in a fresh process gives the same bytes whether the build was interrupted or not, hands its
memory back, and if a library crashes, only this stage fails, with its log.

The parent writes the request to stdin, gives the log as stdout and stderr, and reads one JSON
object a line from the pipe whose number is the only argument: progress, and at the end the error.
"""

import ctypes
import importlib
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

from pydantic import ConfigDict

from allnet_edge.errors import AllnetEdgeError, StorageError
from allnet_edge.pipeline.sources import Sources
from allnet_edge.pipeline.stage import Work
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.recipe import Recipe
from allnet_edge.spec.target import Target

_PR_SET_PDEATHSIG = 1


class Request(Frozen):
    """Everything that a stage works with, as it travels to the worker."""

    model_config = ConfigDict(arbitrary_types_allowed=False)

    stage: str
    title: str
    folder: Path
    partial: Path
    stages: dict[str, Path]
    recipe: Recipe
    target: Target
    run: Path
    data: Path
    split: Path | None
    cache: Path

    def work(self, pipe: int) -> Work:
        """The same for the stage, with its progress going into ``pipe``."""
        log = logging.Logger(self.stage, logging.INFO)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
        return Work(
            folder=self.folder,
            partial=self.partial,
            stages=self.stages,
            recipe=self.recipe,
            target=self.target,
            sources=Sources(self.run, self.data, self.split, self.cache),
            progress=lambda what, done, total: _send(pipe, {"progress": [what, done, total]}),
            log=log,
        )


def main() -> int:
    """Run one stage; the exit code is that of its error."""
    _die_with_parent()
    pipe = int(sys.argv[1])
    request = Request.model_validate_json(sys.stdin.buffer.read())
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    work = request.work(pipe)
    work.log.info("%s: %s", request.stage, request.title)
    try:
        importlib.import_module(f"allnet_edge.pipeline.stages.{request.stage}").run(work)
    except KeyboardInterrupt:
        return 130
    except AllnetEdgeError as error:
        traceback.print_exc()
        _send(pipe, {"error": error_to_json(error)})
        return error.exit_code
    except OSError as error:
        traceback.print_exc()
        known = StorageError(
            f"the stage '{request.stage}' could not read or write: {error.strerror or error}",
            where=error.filename or request.folder.parent,
            fix="make room or mend the permissions; the same command resumes at this stage",
        )
        _send(pipe, {"error": error_to_json(known)})
        return known.exit_code
    return 0


def error_to_json(error: AllnetEdgeError) -> dict[str, object]:
    """An error of the tree as plain data; the parent makes the same one of it again."""
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "fix": error.fix,
    }


def _send(pipe: int, message: dict[str, object]) -> None:
    os.write(pipe, json.dumps(message).encode() + b"\n")


def _die_with_parent() -> None:
    """A killed build must not leave a stage behind that goes on writing (Linux only)."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
