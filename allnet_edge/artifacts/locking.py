"""A folder that one program at a time writes into."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from allnet_edge.errors import OutputDirError


def take_lock(descriptor: int, folder: Path, *, program: str, other: str) -> None:
    """Take a folder for this process; the kernel frees it when the process ends, however.

    Args:
        descriptor: Of the open lock file, into which this process' id is written; or of the folder
            itself, where no file may be added.
        folder: For the message.
        program: That the folder is for, such as ``build``.
        other: How to choose another folder, in words.

    Raises:
        OutputDirError: Another process has it, or the file system has no locks.
        OSError: The process id cannot be written.
    """
    signed = stat.S_ISREG(os.fstat(descriptor).st_mode)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip() if signed else ""
        raise OutputDirError(
            f"another {program} is running in this folder (process {owner or 'unknown'})",
            where=folder,
            fix=f"wait for it to end, or {other}",
        ) from None
    except OSError as error:
        raise OutputDirError(
            f"this file system cannot lock a folder for one {program}: {error.strerror}",
            where=folder,
            fix=f"take a folder on a local disk: {other}",
        ) from error
    if signed:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


@contextmanager
def locked_folder(folder: Path, *, program: str, other: str) -> Iterator[None]:
    """Take a folder in which no lock file may lie; raises as ``take_lock``."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        take_lock(descriptor, folder, program=program, other=other)
        yield
    finally:
        os.close(descriptor)
