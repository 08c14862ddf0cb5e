"""One stage in a process of its own.

A stage that always starts in a fresh process gives the same bytes whether the build was
interrupted or not, hands its memory back, and if one of TensorFlow, TensorRT, ONNX Runtime and
LiteRT crashes, only this stage fails, with its log.

The parent writes the request to stdin, gives the log as stdout and stderr, and reads one JSON
object a line from a pipe: progress, and at the end the error. The arguments are the number of that
pipe and the parent's process id.
"""

import contextlib
import importlib
import logging
import os
import sys
import traceback
from pathlib import Path

from allnet_edge.child import die_with, tell
from allnet_edge.errors import (
    AllnetEdgeError,
    ConversionError,
    EnvironmentMismatch,
    StorageError,
    error_to_json,
    first_line,
)
from allnet_edge.pipeline.sources import Sources
from allnet_edge.pipeline.stage import Work
from allnet_edge.spec.base import Frozen
from allnet_edge.spec.recipe import Recipe
from allnet_edge.spec.target import Target

_CONVERTS = {
    "prune", "equalise", "export_onnx", "export_tflite", "quantize", "qat", "qat_onnx",
    "qat_tflite", "mixed", "half", "compile",
}  # fmt: skip


class Request(Frozen):
    """Everything that a stage works with, as it travels to the worker."""

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
    against: Path | None = None

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
            sources=Sources(self.run, self.data, self.split, self.cache, self.against),
            progress=lambda what, done, total: tell(pipe, {"progress": [what, done, total]}),
            log=log,
        )


def main() -> int:
    """Run one stage; the exit code is that of its error."""
    pipe, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with(parent)
    request = Request.model_validate_json(sys.stdin.buffer.read())
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    work = request.work(pipe)
    work.log.info("%s: %s", request.stage, request.title)
    try:
        importlib.import_module(f"allnet_edge.pipeline.stages.{request.stage}").run(work)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  # the parent is told of every error there is
        known = _known(error, request)
        tell(pipe, {"error": error_to_json(known)})
        with contextlib.suppress(OSError):  # the log may lie on the disk that is full
            traceback.print_exc()
        return known.exit_code
    return 0


def _known(error: BaseException, request: Request) -> AllnetEdgeError:
    """The error of our tree that says what happened."""
    if isinstance(error, AllnetEdgeError):
        return error
    again = "the same command resumes at this stage"
    cause: BaseException | None = error
    while cause is not None:  # libraries wrap what the disk said
        if isinstance(cause, OSError):
            return StorageError(
                f"the stage '{request.stage}' could not read or write: {cause.strerror or cause}",
                where=cause.filename or request.folder.parent,
                fix=f"make room or mend the permissions; {again}",
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, MemoryError):
        return EnvironmentMismatch(
            f"the stage '{request.stage}' ran out of memory",
            fix=f"close other programs or take a larger machine; {again}",
        )
    kind = ConversionError if request.stage in _CONVERTS else AllnetEdgeError
    return kind(
        f"the stage '{request.stage}' failed: {type(error).__name__}: {first_line(error)}",
        where=request.folder.parent / "logs" / f"{request.stage}.log",
        fix=f"the log has the whole story; {again}",
    )


if __name__ == "__main__":
    sys.exit(main())
