"""Bytes of files over connections that break: sent, fetched, resumed, and checked."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from allnet_edge.artifacts.files import sha256_file, sync_folder
from allnet_edge.errors import IntegrityError, StorageError
from allnet_edge.progress import Progress
from allnet_edge.remote.agent import CHUNK
from allnet_edge.remote.session import Session
from allnet_edge.remote.ssh import ConnectionCutError, Device, UnreachableError

_ATTEMPTS = 4  # connections in a row that bring nothing forward
_MARGIN = 16 << 20  # bytes that a disk should keep
_KIB = 1024


@dataclass(frozen=True, slots=True)
class File:
    """A file by what is in it."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "File":
        """Read it."""
        return cls(path.stat().st_size, sha256_file(path))

    def to_json(self) -> dict[str, object]:
        """Plain data, as the agent takes it."""
        return {"size": self.size, "sha256": self.sha256}


class Meter:
    """What was moved, for people who wait and for the patience of ``insist``."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what, self._total, self._progress = what, total, progress
        self.moved = 0
        self.present = 0

    def start(self, present: int) -> None:
        """So many bytes are there."""
        self.present = present
        self._show()

    def add(self, count: int) -> None:
        """So many more were moved."""
        self.moved += count
        self.present += count
        self._show()

    def _show(self) -> None:
        self._progress(self._what, self.present // _KIB, max(self._total // _KIB, 1))


def insist(device: Device, once: Callable[[Session], None], meter: Meter) -> int:
    """Do it over one connection after the other, as long as each brings it forward."""
    cuts = fruitless = 0
    while True:
        before = meter.moved
        try:
            with Session(device) as session:
                once(session)
                return cuts
        except (ConnectionCutError, UnreachableError) as error:
            if isinstance(error, ConnectionCutError):
                cuts += 1
            fruitless = 0 if meter.moved > before else fruitless + 1
            # A device that was there a moment ago may come back.
            if not cuts or fruitless >= _ATTEMPTS:
                raise
            time.sleep(min(0.5 * 2**fruitless, 8.0))


def send_all(
    session: Session,
    root: str,
    files: Mapping[str, File],
    *,
    source: Path,
    also: str,
    meter: Meter,
) -> None:
    """Send what of some files is not there; what lies in the folder ``also`` is taken from it.

    Raises:
        IntegrityError: A file does not arrive as it was sent.
        ConnectionCutError: The connection ended.
        StorageError: No room over there.
    """
    answer = session.ask("have", root=root, also=also, files=listed(files))["have"]
    have = {name: int(str(answer[name])) for name in files} if isinstance(answer, dict) else {}
    meter.start(sum(have.values()))
    _check_room(session, root, sum(one.size - have[name] for name, one in files.items()))
    for name, one in files.items():
        if have[name] < one.size or not one.size:
            _send(session, root, name, one, source=source / name, offset=have[name], meter=meter)


def _send(
    session: Session,
    root: str,
    name: str,
    file: File,
    *,
    source: Path,
    offset: int,
    meter: Meter,
) -> None:
    """Send the rest of a file; if the whole is then wrong, all of it once more."""
    for start in (offset, 0):
        payload = _bytes(source, start, file.size, meter)
        if session.put(payload, root=root, name=name, file=file.to_json(), offset=start):
            return
        meter.start(meter.present - file.size)
    raise IntegrityError(
        f"{name} does not arrive at {session.device.host} as it was sent",
        where=source,
        fix="check that no other program changes the file, and the memory and disk of the device",
    )


def _bytes(path: Path, start: int, end: int, meter: Meter) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        left = end - start
        while left:
            data = stream.read(min(left, CHUNK))
            data = data or bytes(min(left, CHUNK))  # it shrank meanwhile: the hash will tell
            yield data
            meter.add(len(data))
            left -= len(data)


def fetch(session: Session, root: str, key: str, file: File, *, target: Path, meter: Meter) -> None:
    """Fetch what of a file is not here; raises like ``send_all``.

    Args:
        key: Its name below ``root`` over there.
        file: What it has to be.
    """
    if target.is_file() and File.of(target) == file:
        meter.start(meter.present + file.size)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{file.sha256[:12]}.part")
    for _ in range(2):
        offset = part.stat().st_size if part.is_file() else 0
        meter.start(meter.present + offset)
        with part.open("ab") as stream:

            def keep(data: bytes, stream: object = stream) -> None:
                stream.write(data)  # type: ignore[attr-defined]
                meter.add(len(data))

            session.fetch(keep, root=root, name=key, offset=offset)
        if sha256_file(part) == file.sha256:
            part.replace(target)
            sync_folder(target.parent)
            return
        part.unlink()
        meter.start(meter.present - file.size)
    raise IntegrityError(
        f"{key} does not come from {session.device.host} as it was listed",
        where=target,
        fix="wait until nothing writes it over there, then run the same command again",
    )


def list_of(session: Session, root: str, below: tuple[str, ...]) -> dict[str, File]:
    """Every file in some folders over there, by its name below ``root``."""
    answer = session.ask("listing", root=root, below=list(below))["files"]
    rows = answer.items() if isinstance(answer, dict) else ()
    return {_relative(name): File(int(one["size"]), str(one["sha256"])) for name, one in rows}


def _relative(name: str) -> str:
    """A name from the device must not lead out of the folder that it is written to."""
    if name.startswith("/") or ".." in name.split("/"):
        raise IntegrityError("the device names a file outside of its folder", where=name)
    return name


def _check_room(session: Session, root: str, needed: int) -> None:
    free = int(str(session.ask("free", root=root)["free"]))
    if needed and needed + _MARGIN > free:
        raise StorageError(
            f"the disk of {session.device.host} has {free >> 20} MiB left; "
            f"{(needed + _MARGIN) >> 20} MiB are needed",
            where=root,
            fix="make room there, or choose another disk with --dir",
        )


def listed(files: Mapping[str, File]) -> dict[str, dict[str, object]]:
    """Plain data, as the agent takes it."""
    return {name: one.to_json() for name, one in files.items()}
