"""Files that are whole or absent: hashing, and writing through a temporary name.

A reader, or a run that follows a kill -9 or a power cut, sees the old content or the new one and
never a part: the bytes go to ``<name>.tmp-<pid>`` in the same folder, are flushed to the disk,
take the final name by ``rename`` (atomic in POSIX), and the folder is flushed in turn.
"""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from allnet_edge.errors import IntegrityError

_CHUNK = 1 << 20
_TEMPORARY = re.compile(r".+\.tmp-\d+(-old)?")


def sha256_bytes(data: bytes) -> str:
    """The SHA-256 of ``data``, lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def hash_tree(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below a folder, by its relative path with ``/``, sorted."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in paths}


def canonical_json(value: object) -> bytes:
    """One byte string for one value: sorted keys, indent 1, a newline at the end.

    Raises:
        ValueError: A number that is not finite: JSON has no word for it.
        TypeError: Something that is no plain data.
    """
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def read_json(path: Path) -> object:
    """Plain data from a JSON file that we wrote.

    Raises:
        IntegrityError: The file is absent, cannot be read, or is no JSON.
    """
    try:
        value: object = json.loads(path.read_bytes())
    except OSError as error:
        raise IntegrityError(f"cannot read the file: {error.strerror}", where=path) from error
    except ValueError as error:  # also UnicodeDecodeError
        raise IntegrityError(
            f"not valid JSON: {error}",
            where=path,
            fix="the file is damaged: copy it again, or repeat the command that made it",
        ) from error
    return value


def temporary_name(path: Path, *, old: bool = False) -> Path:
    """Where something is assembled, or set aside, before it takes its name."""
    return path.with_name(f"{path.name}.tmp-{os.getpid()}{'-old' if old else ''}")


def is_temporary(path: Path) -> bool:
    """Whether a name is one that ``temporary_name`` gives: the leftover of a killed run."""
    return _TEMPORARY.fullmatch(path.name) is not None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write ``canonical_json(value)`` whole or not at all."""
    write_bytes(path, canonical_json(value))


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below, and the folder itself, to the disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        elif path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
    sync_folder(folder)


def commit_folder(assembled: Path, final: Path) -> None:
    """Give an assembled folder its final name, in place of an older one of that name.

    A kill between the two renames leaves neither version under the final name, never a mixture;
    what was set aside is a temporary name, which the next run removes.
    """
    sync_tree(assembled)
    aside = temporary_name(final, old=True)
    if final.exists():
        remove(aside)
        final.rename(aside)
    assembled.rename(final)
    sync_folder(final.parent)
    remove(aside)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all it holds; nothing where there is nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
