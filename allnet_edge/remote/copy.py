"""Copies to and from a device that go on where they stood; only whole files get their name."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from allnet_edge.artifacts.bundle import MANIFEST, SIGNATURE, Bundle
from allnet_edge.artifacts.device_files import FOLDER
from allnet_edge.artifacts.files import sha256_file, sync_folder
from allnet_edge.errors import IntegrityError, StorageError, UsageError
from allnet_edge.progress import Progress, silent
from allnet_edge.remote.agent import CHUNK
from allnet_edge.remote.session import Session
from allnet_edge.remote.ssh import ConnectionCutError, Device, UnreachableError
from allnet_edge.spec.base import known_name

BUNDLES, BENCH, WHEELS = "bundles", "bench", "wheels"
BROUGHT_BACK = (FOLDER, "reports")
_ATTEMPTS = 4  # connections in a row that bring nothing forward
_MARGIN = 16 << 20  # bytes that a disk should keep
_KIB = 1024

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did.

    Attributes:
        where: The folder or file that is now there.
        files: How many it has.
        size: Their bytes.
        sent: Bytes that went over the connection.
        cuts: How often the connection was cut on the way.
    """

    where: str
    files: int
    size: int
    sent: int
    cuts: int = 0


@dataclass(frozen=True, slots=True)
class _File:
    size: int
    sha256: str

    def to_json(self) -> dict[str, object]:
        return {"size": self.size, "sha256": self.sha256}


class _Meter:
    """What was moved, for people who wait and for the patience of ``_insist``."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what, self._total, self._progress = what, total, progress
        self.moved = 0
        self.present = 0

    def start(self, present: int) -> None:
        self.present = present
        self._show()

    def add(self, count: int) -> None:
        self.moved += count
        self.present += count
        self._show()

    def _show(self) -> None:
        self._progress(self._what, self.present // _KIB, max(self._total // _KIB, 1))


def push_bundle(device: Device, bundle: Path, *, progress: Progress = silent) -> Copied:
    """Copy a bundle to ``<folder>/bundles/<name>``, whole or not at all.

    What is there already is not sent again. An older bundle of that name gives way; what the device
    made of this very bundle (its engines) stays.

    Raises:
        IntegrityError: The bundle here was changed, or a file does not arrive as it was sent.
        EnvironmentMismatch: No connection, or one that is cut again and again.
        StorageError: No room over there.
    """
    opened = Bundle.open(bundle)
    names = [MANIFEST, *opened.manifest.files]
    if opened.path(SIGNATURE).is_file():
        names.append(SIGNATURE)
    final = device.path(BUNDLES, _plain(opened.manifest.name))
    assembled = device.path(BUNDLES, f".{opened.manifest.name}.part")
    files = {name: _file(opened.path(name)) for name in names}
    meter = _Meter("copying, KiB", sum(one.size for one in files.values()), progress)

    def once(session: Session) -> None:
        listed = _listed(files)
        if not session.ask("differ", root=final, files=listed)["differ"]:
            meter.start(sum(one.size for one in files.values()))
            return
        _send_all(session, assembled, files, source=opened.root, also=final, meter=meter)
        session.ask(
            "commit", assembled=assembled, final=final, files=list(files), made_there=FOLDER,
            identity=MANIFEST,
        )  # fmt: skip

    cuts = _insist(device, once, meter)
    return Copied(final, len(files), sum(one.size for one in files.values()), meter.moved, cuts)


def push_file(device: Device, path: Path, below: str, *, progress: Progress = silent) -> Copied:
    """Copy one file to ``<folder>/<below>/``; raises like ``push_bundle``."""
    if not path.is_file():
        raise UsageError("no such file", where=path)
    files = {_plain(path.name): _file(path)}
    meter = _Meter(f"copying {path.name}, KiB", files[path.name].size, progress)
    root = device.path(below)

    def once(session: Session) -> None:
        _send_all(session, root, files, source=path.parent, also=root, meter=meter)

    cuts = _insist(device, once, meter)
    return Copied(device.path(below, path.name), 1, files[path.name].size, meter.moved, cuts)


def pull(device: Device, name: str | None, out: Path, *, progress: Progress = silent) -> Copied:
    """Bring back what a device made of a bundle, to ``out/<name>``: engines, reports, benchmarks.

    Args:
        name: Of the bundle; None for the only one there.

    Raises:
        UsageError: No such bundle there, or several and no name.
        IntegrityError: A file does not arrive as it left.
        EnvironmentMismatch: As for ``push_bundle``.
    """
    with Session(device) as session:
        chosen = which_bundle(session, name)
        root = device.path(BUNDLES, chosen)
        sources = {
            f"{chosen}/{key}": (root, key, one)
            for key, one in _list_of(session, root, BROUGHT_BACK).items()
        }
        bench = device.path(BENCH)
        sources |= {
            f"{chosen}/{BENCH}/{key.partition('/')[2]}": (bench, key, one)
            for key, one in _list_of(session, bench, (chosen,)).items()
        }
    total = sum(one.size for *_, one in sources.values())
    meter = _Meter("bringing back, KiB", total, progress)

    def once(session: Session) -> None:
        meter.start(0)
        for local, (root, key, one) in sources.items():
            _fetch(session, root, key, one, target=out / local, meter=meter)

    cuts = _insist(device, once, meter)
    return Copied(str(out / chosen), len(sources), total, meter.moved, cuts)


def which_bundle(session: Session, name: str | None) -> str:
    """The bundle of this name on the device, or the only one.

    Raises:
        UsageError: There is none, or there are several and no name; names them.
    """
    root = session.device.path(BUNDLES)
    there = session.ask("folders", root=root, marker=MANIFEST)["folders"]
    names = [str(one) for one in there] if isinstance(there, list) else []
    if not names:
        raise UsageError(
            f"there is no bundle on {session.device.host}",
            where=root,
            fix=f"allnet-edge device push {session.device.host} BUNDLE",
        )
    if name is not None:
        return known_name("bundle of the device", name, names)
    if len(names) > 1:
        raise UsageError(
            f"{session.device.host} has several bundles: {', '.join(names)}",
            fix="choose one with --bundle",
        )
    return names[0]


def _insist(device: Device, once: Callable[[Session], None], meter: _Meter) -> int:
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


def _send_all(
    session: Session,
    root: str,
    files: Mapping[str, _File],
    *,
    source: Path,
    also: str,
    meter: _Meter,
) -> None:
    answer = session.ask("have", root=root, also=also, files=_listed(files))["have"]
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
    file: _File,
    *,
    source: Path,
    offset: int,
    meter: _Meter,
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


def _bytes(path: Path, start: int, end: int, meter: _Meter) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        left = end - start
        while left:
            data = stream.read(min(left, CHUNK))
            data = data or bytes(min(left, CHUNK))  # it shrank meanwhile: the hash will tell
            yield data
            meter.add(len(data))
            left -= len(data)


def _fetch(
    session: Session, root: str, key: str, file: _File, *, target: Path, meter: _Meter
) -> None:
    if target.is_file() and _file(target) == file:
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


def _list_of(session: Session, root: str, below: tuple[str, ...]) -> dict[str, _File]:
    answer = session.ask("listing", root=root, below=list(below))["files"]
    rows = answer.items() if isinstance(answer, dict) else ()
    return {_relative(name): _File(int(one["size"]), str(one["sha256"])) for name, one in rows}


def _relative(name: str) -> str:
    """A name from the device must not lead out of the folder that it is written to."""
    if name.startswith("/") or ".." in name.split("/"):
        raise IntegrityError("the device names a file outside of its folder", where=name)
    return name


def _plain(name: str) -> str:
    if "/" in name or name.startswith("."):
        raise UsageError(f"'{name}' cannot be the name of a file on the device")
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


def _file(path: Path) -> _File:
    return _File(path.stat().st_size, sha256_file(path))


def _listed(files: Mapping[str, _File]) -> dict[str, dict[str, object]]:
    return {name: one.to_json() for name, one in files.items()}
