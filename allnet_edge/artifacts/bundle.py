"""A bundle: the one folder that a device needs. Opened only when every byte is as it was made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from allnet_edge.artifacts import files
from allnet_edge.artifacts.appearance import APPEARANCE, Appearance
from allnet_edge.artifacts.device_files import DeviceFiles, is_device_file, read_device_files
from allnet_edge.artifacts.golden import Golden
from allnet_edge.artifacts.manifest import (
    SCHEMA_VERSION,
    BundleManifest,
    Candidate,
    Threshold,
)
from allnet_edge.artifacts.reference import REFERENCE, FrozenReference
from allnet_edge.errors import IntegrityError, RecipeError, UsageError
from allnet_edge.spec.base import Spec, known_name, parse
from allnet_edge.spec.network import Preprocess

MANIFEST = "manifest.json"
SIGNATURE = "signature"
PREPROCESS = "preprocess.json"
THRESHOLD = "threshold.json"
COPY_AGAIN = "copy the whole bundle again from where it was built, or build it again"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes:
        root: Its folder.
        sha256: Of its manifest.json, and so of all that was signed.
        thresholds: How each candidate's probability becomes a decision, by candidate id; an engine
            made on the device decides like the graph that it was built from.
        device: What this device has compiled and chosen, outside the signature.
        appearance: How the training cells looked; None in a bundle that was built before this was
            looked at.
    """

    root: Path
    manifest: BundleManifest
    preprocess: Preprocess
    thresholds: Mapping[str, Threshold]
    sha256: str
    device: DeviceFiles
    appearance: Appearance | None = None

    @classmethod
    def open(cls, root: Path) -> "Bundle":
        """Read a bundle and verify it: the manifest, the set of files and the hash of each.

        The signature is not judged here: see ``artifacts.signing``. Neither is whether the engines
        of ``engine/`` fit this device: see ``engines.opening``.

        Raises:
            UsageError: No folder of that name, or one without a manifest.
            IntegrityError: The first file that is absent, additional, changed or not readable.
        """
        if not (root / MANIFEST).is_file():
            raise UsageError(
                "there is no bundle here (no manifest.json)",
                where=root,
                fix="name the folder 'bundle' inside a build folder",
            )
        raw = files.read_json(root / MANIFEST)
        _check_schema(raw, root)
        manifest = _parse(raw, BundleManifest, root / MANIFEST)
        _check_names(root, manifest.files)
        for name, sha256 in manifest.files.items():
            _check_hash(root, name, sha256)
        preprocess = _parse(files.read_json(root / PREPROCESS), Preprocess, root / PREPROCESS)
        device = read_device_files(root, manifest.files)
        return cls(
            root,
            manifest,
            preprocess,
            _thresholds(root, manifest, device),
            files.sha256_file(root / MANIFEST),
            device,
            _appearance(root, manifest),
        )

    def path(self, name: str) -> Path:
        """Where a file of the bundle lies."""
        return self.root / name

    def candidate(self, name: str) -> Candidate:
        """The candidate with this id.

        Raises:
            UnknownNameError: With the nearest id and the list.
        """
        by_id = {candidate.id: candidate for candidate in self.candidates}
        return by_id[known_name("candidate", name, by_id)]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The signed candidates, and after them the engines that this device made of them."""
        return (*self.manifest.candidates, *self.device.candidates)

    def file_sha256(self, candidate: Candidate) -> str:
        """Of a candidate's file, as the manifest or the engine's sidecar has it."""
        made = {one.file: one.engine_sha256 for one in self.device.engines}
        return (self.manifest.files | made)[candidate.file]

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that was chosen at the build, if one was."""
        return next((one for one in self.manifest.candidates if one.chosen), None)

    def golden(self) -> Golden:
        """The golden tensors, read now."""
        return Golden.read(self.root)

    def reference(self) -> FrozenReference | None:
        """The float network's frozen answers, read now; None where the bundle has none."""
        known = REFERENCE in self.manifest.files
        return FrozenReference.read(self.root / REFERENCE) if known else None


def is_bundle_of(root: Path, build_key: str) -> bool:
    """Whether a whole, unchanged bundle of this very work lies there already."""
    try:
        return Bundle.open(root).manifest.source.build_key == build_key
    except (IntegrityError, UsageError):
        return False


def _check_schema(raw: object, root: Path) -> None:
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        raise IntegrityError(
            f"the bundle has schema version {version!r}, this program reads {SCHEMA_VERSION}",
            where=root / MANIFEST,
            fix="update allnet-edge on this machine" if newer else "build the bundle again",
        )


def _parse(raw: object, kind: type[Spec], path: Path) -> Spec:
    """A file of a bundle is made by a program: a wrong key in it is damage, no user's mistake."""
    try:
        return parse(raw, kind, where=path)
    except RecipeError as error:
        raise IntegrityError(error.what, where=path, fix=COPY_AGAIN) from error


def _check_names(root: Path, listed: Iterable[str]) -> None:
    """The files there are the files listed, all of them real files of this folder."""
    expected = set(listed)
    found: set[str] = set()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            raise IntegrityError(f"{name} is a link, not a file", where=path, fix=COPY_AGAIN)
        if path.is_dir() or name in (MANIFEST, SIGNATURE):
            continue
        if name not in expected and is_device_file(name):
            continue
        if name not in expected:
            raise IntegrityError(
                f"{name} is not part of the bundle", where=path, fix="move it out of the bundle"
            )
        found.add(name)
    for name in (PREPROCESS, THRESHOLD, *sorted(expected)):
        if name not in found:
            raise IntegrityError(f"{name} is missing", where=root / name, fix=COPY_AGAIN)


def _check_hash(root: Path, name: str, sha256: str) -> None:
    try:
        actual = files.sha256_file(root / name)
    except OSError as error:
        raise IntegrityError(
            f"{name} cannot be read: {error.strerror}", where=root / name
        ) from error
    if actual != sha256:
        raise IntegrityError(
            f"{name} has changed since the bundle was made",
            where=root / name,
            fix=COPY_AGAIN,
        )


def _appearance(root: Path, manifest: BundleManifest) -> Appearance | None:
    if APPEARANCE not in manifest.files:
        return None
    return _parse(files.read_json(root / APPEARANCE), Appearance, root / APPEARANCE)


def _thresholds(
    root: Path, manifest: BundleManifest, device: DeviceFiles
) -> Mapping[str, Threshold]:
    path = root / THRESHOLD
    raw = files.read_json(path)
    ids = {candidate.id for candidate in manifest.candidates}
    if not isinstance(raw, dict) or not ids <= set(raw):
        raise IntegrityError("does not name every candidate", where=path, fix=COPY_AGAIN)
    found = {key: _parse(raw[key], Threshold, path) for key in sorted(raw)}
    found |= {one.id: found[one.source] for one in device.engines if one.source in found}
    return MappingProxyType(found)
