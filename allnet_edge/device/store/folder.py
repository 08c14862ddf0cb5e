"""The folder of a store: one process at a time, nothing in it that is not ours is touched."""

import errno
import os
from pathlib import Path

from allnet_edge.artifacts.locking import take_lock
from allnet_edge.errors import OutputDirError, StorageError

DATABASE = "store.sqlite3"
LOCK = "store.lock"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_OTHER_FOLDER = "mend its permissions, or choose another folder for the store"


def take(folder: Path) -> int:
    """Make the folder where it is absent and take it for this process.

    The kernel frees it when the process ends, however it ends.

    Returns:
        The descriptor that holds the lock; close it to free the folder.

    Raises:
        OutputDirError: Not a folder, not writable, or in use by another process.
        StorageError: No room even for the lock.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The lock file may be writable in a folder where no database could be.
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputDirError(
                "nothing can be written into the store's folder", where=folder, fix=_OTHER_FOLDER
            )
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise os_error_in_words(error, folder) from error
    try:
        take_lock(
            descriptor, folder, program="session", other="choose another folder for the store"
        )
    except OSError as error:
        os.close(descriptor)
        raise os_error_in_words(error, folder) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def os_error_in_words(error: OSError, where: Path) -> OutputDirError | StorageError:
    """A file that could not be written: for want of room, or of permission."""
    if error.errno in _FULL:
        return StorageError(
            f"the disk cannot take more: {error.strerror}",
            where=where,
            fix="free some space, or choose another disk",
        )
    return OutputDirError(
        f"cannot be written: {error.strerror}", where=error.filename or where, fix=_OTHER_FOLDER
    )
