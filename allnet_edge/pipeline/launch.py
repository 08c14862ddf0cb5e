"""Starting a stage's worker, listening to it, and telling how it ended."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from allnet_edge.child import ending
from allnet_edge.errors import (
    AllnetEdgeError,
    ConversionError,
    EnvironmentMismatch,
    error_from_json,
)
from allnet_edge.pipeline.worker import Request
from allnet_edge.progress import Progress


def launch(request: Request, log: Path, progress: Progress) -> None:
    """Run one stage in a process of its own and wait for it.

    Args:
        log: Gets everything that the stage and its libraries print.

    Raises:
        AllnetEdgeError: The stage's own error, as it raised it.
        EnvironmentMismatch: It was killed, or ran out of memory.
        ConversionError: A native library crashed.
    """
    reader, writer = os.pipe()
    with log.open("wb") as stream, os.fdopen(reader, encoding="utf-8") as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", "allnet_edge.pipeline.worker", str(writer), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            pass_fds=(writer,),
        )
        os.close(writer)
        try:
            if process.stdin is None:
                raise AllnetEdgeError("the worker has no stdin")
            with process.stdin as request_pipe:
                request_pipe.write(request.model_dump_json().encode())
            error = None
            for line in messages:
                message = json.loads(line)
                if "progress" in message:
                    progress(*message["progress"])
                else:
                    error = message["error"]
            code = process.wait()
        finally:
            process.kill()
            process.wait()
    if error is not None:
        raise error_from_json(error)
    if code == 130:  # Ctrl-C reaches the whole process group
        raise KeyboardInterrupt
    if code == -signal.SIGKILL:
        raise EnvironmentMismatch(
            f"the stage '{request.stage}' was killed, as the system does for lack of memory",
            where=log,
            fix="close other programs or take a larger machine; the same command resumes here",
        )
    if code != 0:
        raise ConversionError(
            f"the stage '{request.stage}' ended with {ending(code)}",
            where=log,
            fix="the log has the whole story; the same command resumes at this stage",
        )
