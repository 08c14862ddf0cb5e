"""A build folder: ours or refused, for one process at a time, made of stages that are whole.

Layout::

    BUILD/.allnet-edge        marks the folder as ours, and is the lock
    BUILD/<stage>/            one finished stage: its files, and stage.json about them
    BUILD/<stage>.tmp-<pid>/  a stage in the making: removed when the folder is closed; what a kill
                              leaves, when it is next opened
    BUILD/<stage>.partial/    what an unfinished stage keeps to resume from: checkpoints
    BUILD/logs/<stage>.log
"""

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from allnet_edge.artifacts import files
from allnet_edge.artifacts.locking import take_lock
from allnet_edge.errors import IntegrityError, OutputDirError, RecipeError
from allnet_edge.spec.base import Frozen, parse

MARKER = ".allnet-edge"
RECORD = "stage.json"
_KEY_FILE = "key"
_STAGE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_OTHER_FOLDER = "choose another folder with -o; this one is left as it is"


class StageRecord(Frozen):
    """What a finished stage says about itself: ``stage.json``.

    Attributes:
        key: Identity of the work: ``stage_key`` of the three mappings below.
        files: SHA-256 of every file that the stage made, by path relative to its folder.
        inputs: SHA-256 of what it read, by name.
        settings: Every setting that changes the result.
        tools: Version of every tool that changes the result.
        seconds: How long it took, wall clock.
    """

    stage: str
    key: str
    files: dict[str, str]
    inputs: dict[str, str]
    settings: dict[str, object]
    tools: dict[str, str]
    seconds: float


def stage_key(
    stage: str,
    *,
    inputs: Mapping[str, str],
    settings: Mapping[str, object],
    tools: Mapping[str, str],
) -> str:
    """The identity of a piece of work: equal keys make equal results."""
    parts = [stage, dict(inputs), dict(settings), dict(tools)]
    return files.sha256_bytes(files.canonical_json(parts))


class BuildDir:
    """An open, locked build folder; use ``with BuildDir.open(path) as build``."""

    def __init__(self, root: Path, lock: int) -> None:
        self.root = root
        self._lock: int | None = lock

    @classmethod
    def open(cls, root: Path) -> "BuildDir":
        """Create the folder or take up one of ours, lock it, and clear what a kill left.

        Raises:
            OutputDirError: A folder with something else in it, a file, a folder that cannot be
                written, or one that another process is building in.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(root)
            _refuse_read_only(root)
            descriptor = os.open(root / MARKER, os.O_RDWR | os.O_CREAT, 0o644)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise _unusable(root, error) from error
        except OSError as error:
            if error.errno == errno.EROFS:
                raise _unusable(root, error) from error
            raise
        try:
            take_lock(descriptor, root, program="build", other="choose another folder with -o")
            _sweep(root)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(root, descriptor)

    def close(self) -> None:
        """Let other processes in.

        Whoever made something temporary removes it, but Ctrl-C can come between the two lines that
        make it and see to its removal; nothing of this name outlives the lock in any case.
        """
        if self._lock is not None:
            try:
                # What cannot be removed now is removed when the folder is next opened, which says
                # why if it cannot; here an error might hide the one that is on its way.
                with contextlib.suppress(OSError):
                    _sweep(self.root)
            finally:  # also after a second Ctrl-C
                os.close(self._lock)
                self._lock = None

    def __enter__(self) -> "BuildDir":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def path(self, stage: str) -> Path:
        """The folder of a stage, finished or not."""
        if not _STAGE_NAME.fullmatch(stage):
            raise ValueError(f"not a stage name: {stage!r}")
        return self.root / stage

    def log(self, stage: str) -> Path:
        """The log file of a stage; its folder exists."""
        folder = self.root / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{self.path(stage).name}.log"

    def record(self, stage: str) -> StageRecord | None:
        """What a finished stage says about itself; None if it is not there or not readable."""
        path = self.path(stage) / RECORD
        try:
            return parse(files.read_json(path), StageRecord, where=path)
        except (IntegrityError, RecipeError):
            return None  # to be made again

    def is_current(self, stage: str, key: str) -> bool:
        """Whether the stage was made with this key, and none of its files changed since."""
        record = self.record(stage)
        if record is None or record.key != key:
            return False
        folder = self.path(stage)
        return all(_has(folder / name, sha256) for name, sha256 in record.files.items())

    @contextlib.contextmanager
    def stage(
        self,
        stage: str,
        *,
        inputs: Mapping[str, str],
        settings: Mapping[str, object],
        tools: Mapping[str, str],
    ) -> Iterator[Path]:
        """Make a stage: yields an empty folder to write into.

        Left normally, the folder becomes the stage, in one rename, with ``stage.json`` and in
        place of an older one, and what the stage kept to resume from is dropped. Left by an
        exception, it is removed and an older stage stays.
        """
        final = self.path(stage)
        assembled = files.temporary_name(final)
        files.remove(assembled)
        began = time.monotonic()
        try:
            assembled.mkdir()
            yield assembled
            record = StageRecord(
                stage=stage,
                key=stage_key(stage, inputs=inputs, settings=settings, tools=tools),
                files=files.hash_tree(assembled),
                inputs=dict(inputs),
                settings=dict(settings),
                tools=dict(tools),
                seconds=round(time.monotonic() - began, 3),
            )
            files.write_json(assembled / RECORD, record.model_dump(mode="json"))
            files.commit_folder(assembled, final)
        except BaseException:
            files.remove(assembled)
            raise
        files.remove(self._partial(stage))

    def resumable(self, stage: str, key: str) -> Path:
        """A folder that survives kills until the stage is finished: for checkpoints.

        Emptied when it belongs to other work, that is, to another key.
        """
        folder = self._partial(stage)
        owner = folder / _KEY_FILE
        if not owner.is_file() or owner.read_text(encoding="utf-8") != key:
            files.remove(folder)
            folder.mkdir()
            files.write_text(owner, key)
        return folder

    def _partial(self, stage: str) -> Path:
        return self.path(stage).with_name(f"{stage}.partial")


def _sweep(root: Path) -> None:
    """Remove what is temporary; only with the lock, since it may be another process' work."""
    for entry in filter(files.is_temporary, root.iterdir()):
        files.remove(entry)


def _refuse_foreign(root: Path) -> None:
    names = {entry.name for entry in root.iterdir()}
    if names and MARKER not in names:
        raise OutputDirError(
            f"the output folder holds files that are not ours ({min(names)!r}"
            f"{f' and {len(names) - 1} more' if len(names) > 1 else ''})",
            where=root,
            fix=_OTHER_FOLDER,
        )


def _refuse_read_only(root: Path) -> None:
    """The marker inside may be writable, so that opening it would prove nothing."""
    if not os.access(root, os.W_OK | os.X_OK):
        raise OutputDirError(
            "nothing can be written into the output folder",
            where=root,
            fix="mend its permissions, or choose another folder with -o",
        )


def _unusable(root: Path, error: OSError) -> OutputDirError:
    kind = "is a file, not a folder" if root.is_file() else f"cannot be used: {error.strerror}"
    return OutputDirError(
        f"the output folder {kind}", where=error.filename or root, fix=_OTHER_FOLDER
    )


def _has(path: Path, sha256: str) -> bool:
    return path.is_file() and files.sha256_file(path) == sha256
