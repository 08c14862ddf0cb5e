"""The far side of a copy: sent over the connection and run by the device's own Python.

It imports nothing of this package, which may not be installed there yet, and is written for Python
3.8 on, that of JetPack 5. It reads requests, one JSON object a line, and answers each with one; the
bytes of a file follow ``put`` and come after the answer to ``get``. A file that grows is called
``<name>.<hash>.part`` and takes its name when its hash is right. After an error of the disk the
agent ends: bytes may still be on their way.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any, BinaryIO, Dict  # noqa: UP035 - Python 3.8

MAGIC = "allnet-edge agent 1"
CHUNK = 1 << 18

# Any: a message's fields differ from kind to kind; each reader takes what its own kind has.
Json = Dict[str, Any]  # noqa: UP006 - evaluated at run time, also by Python 3.8


def main() -> None:
    """Answer until the connection ends."""
    agent = Agent(sys.stdin.buffer, sys.stdout.buffer)
    agent.say({"magic": MAGIC, "python": platform.python_version(), "machine": platform.machine()})
    agent.serve()


class Agent:
    """Answers requests; its public methods but ``say`` and ``serve`` are the actions."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink

    def say(self, answer: Json) -> None:
        """One line."""
        self._sink.write(json.dumps(answer).encode() + b"\n")
        self._sink.flush()

    def serve(self) -> None:
        """One request after the other."""
        for line in iter(self._source.readline, b""):
            request = json.loads(line.decode())
            try:
                answer = getattr(self, request.pop("do"))(**request)
            except OSError as error:
                told = {"errno": error.errno, "where": error.filename}
                self.say({"error": error.strerror or str(error), "disk": told})
                return
            if answer is not None:
                self.say(answer)

    def free(self, root: str) -> Json:
        """Bytes that the disk of a folder has left."""
        folder = _path(root)
        while not folder.is_dir():
            folder = folder.parent
        return {"free": shutil.disk_usage(str(folder)).free}

    def have(self, root: str, also: str, files: Json) -> Json:
        """How many bytes of each file are there; what lies in ``also`` already is copied."""
        found = {}
        for name, wanted in files.items():
            path, part = _inside(root, name), _part(root, name, wanted)
            other = _inside(also, name)
            if _is(path, wanted):
                found[name] = wanted["size"]
            elif _is(other, wanted):
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(other), str(part))
                part.replace(path)
                found[name] = wanted["size"]
            else:
                there = part.stat().st_size if part.is_file() else 0
                found[name] = there if there < wanted["size"] else 0
        return {"have": found}

    def differ(self, root: str, files: Json) -> Json:
        """Names of the files that are absent or not as they should be."""
        names = [name for name, wanted in files.items() if not _is(_inside(root, name), wanted)]
        return {"differ": names}

    def put(self, root: str, name: str, file: Json, offset: int) -> Json:
        """Go on with a file; it gets its name when it is whole and its hash is right."""
        path, part = _inside(root, name), _part(root, name, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        left = file["size"] - offset
        with part.open("r+b" if offset else "wb") as stream:
            stream.seek(offset)
            stream.truncate()
            while left:
                data = self._source.read1(min(left, CHUNK))  # type: ignore[attr-defined]
                if not data:
                    raise SystemExit(0)  # the connection is gone; what came is kept
                stream.write(data)
                stream.flush()
                left -= len(data)
            os.fsync(stream.fileno())
        if _sha256(part) != file["sha256"]:
            part.unlink()
            return {"whole": False}
        part.replace(path)
        return {"whole": True}

    def commit(
        self, assembled: str, final: str, files: list[str], made_there: str, identity: str
    ) -> Json:
        """Give an assembled folder its name; what the device made of the same one goes with it."""
        new, old = _path(assembled), _path(final)
        listed = {_inside(assembled, name) for name in files}
        for path in [path for path in new.rglob("*") if path.is_file() and path not in listed]:
            path.unlink()
        aside = new.with_name(new.name + "-old")
        shutil.rmtree(str(aside), ignore_errors=True)
        if old.is_dir():
            if (old / made_there).is_dir() and _same(new / identity, old / identity):
                shutil.copytree(str(old / made_there), str(new / made_there))
            old.rename(aside)
        new.rename(old)
        shutil.rmtree(str(aside), ignore_errors=True)
        return {"done": True}

    def listing(self, root: str, below: list[str]) -> Json:
        """Size and hash of every file in some folders."""
        top, found = _path(root), {}
        for folder in below:
            for path in sorted((top / folder).rglob("*")):
                if path.is_file() and not path.is_symlink():
                    size, name = path.stat().st_size, path.relative_to(top).as_posix()
                    found[name] = {"size": size, "sha256": _sha256(path)}
        return {"files": found}

    def folders(self, root: str, marker: str) -> Json:
        """Names of the folders that hold a file called ``marker``, without hidden ones."""
        held = sorted(path.parent.name for path in _path(root).glob("*/" + marker))
        return {"folders": [name for name in held if not name.startswith(".")]}

    def get(self, root: str, name: str, offset: int) -> None:
        """The rest of a file."""
        path = _inside(root, name)
        with path.open("rb") as stream:
            left = path.stat().st_size - offset
            self.say({"bytes": left})
            stream.seek(offset)
            while left > 0:
                data = stream.read(min(left, CHUNK))
                data = data or bytes(min(left, CHUNK))  # it shrank meanwhile: the hash will tell
                self._sink.write(data)
                left -= len(data)
            self._sink.flush()


def _path(text: str) -> Path:
    return Path(os.path.abspath(str(Path(text).expanduser())))  # noqa: PTH100 - links stay links


def _inside(root: str, name: str) -> Path:
    if ".." in name.split("/") or name.startswith("/"):
        raise OSError(1, "a name that leads out of its folder", name)
    return _path(root) / name


def _part(root: str, name: str, wanted: Json) -> Path:
    path = _inside(root, name)
    return path.with_name("{}.{}.part".format(path.name, wanted["sha256"][:12]))


def _is(path: Path, wanted: Json) -> bool:
    if not path.is_file() or path.stat().st_size != wanted["size"]:
        return False
    return bool(_sha256(path) == wanted["sha256"])


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and _sha256(one) == _sha256(other)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for data in iter(lambda: stream.read(CHUNK), b""):
            digest.update(data)
    return digest.hexdigest()


if __name__ == "__main__":
    main()
