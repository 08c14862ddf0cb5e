"""Is the bundle on disk still the one that was verified?"""

from pathlib import Path

from allnet_edge.artifacts.bundle import COPY_AGAIN, MANIFEST, Bundle
from allnet_edge.artifacts.files import sha256_file
from allnet_edge.artifacts.manifest import Candidate
from allnet_edge.errors import IntegrityError

_Stamp = tuple[int, int, int]


class BundleWatch:
    """Compares what the system says of each file; one that looks otherwise is hashed again.

    That takes microseconds a file, so that it is done for every field.
    """

    def __init__(self, bundle: Bundle, candidates: tuple[Candidate, ...]) -> None:
        self._root = bundle.root
        self._hashes = {
            **bundle.manifest.files,
            **{one.file: bundle.file_sha256(one) for one in candidates},
            MANIFEST: bundle.sha256,
        }
        # None: not seen yet, so that the first check hashes all that changed since it was opened.
        self._stamps: dict[str, _Stamp | None] = dict.fromkeys(self._hashes)

    def check(self) -> None:
        """Every file is as it was made.

        Raises:
            IntegrityError: One is gone or changed.
        """
        for name, before in self._stamps.items():
            path = self._root / name
            stamp = _stamp(path)
            if stamp == before:
                continue
            if stamp is None or _hash(path) != self._hashes[name]:
                what = "is gone" if stamp is None else "has changed"
                raise IntegrityError(
                    f"{name} {what} while the bundle was in use", where=path, fix=COPY_AGAIN
                )
            self._stamps[name] = stamp


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _hash(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:  # gone or unreadable since; no hash is the right one
        return None
