"""Everything that a stage and its libraries print goes into the stage's log file."""

import contextlib
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def captured(path: Path, name: str) -> Iterator[logging.Logger]:
    """Send stdout and stderr to ``path`` meanwhile, also what C++ libraries write.

    A console that shall stay visible must hold a duplicate of its stream.
    """
    with path.open("w", encoding="utf-8", buffering=1) as stream:
        log = logging.Logger(name, logging.INFO)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
        sys.stdout.flush()
        sys.stderr.flush()
        saved = os.dup(1), os.dup(2)
        try:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            with (
                contextlib.redirect_stdout(stream),
                contextlib.redirect_stderr(stream),
                warnings.catch_warnings(),
            ):
                # Of third parties, about third parties: they belong into the log, once each.
                warnings.simplefilter("default")
                try:
                    yield log
                except BaseException:
                    traceback.print_exc(file=stream)
                    raise
        finally:
            for number, descriptor in zip((1, 2), saved, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)
