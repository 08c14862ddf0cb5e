"""From a folder to an index: every file hashed and fully decoded, copies and patients settled."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from allnet_edge.data import images, leakage, scan_cache
from allnet_edge.data.copies import merge_patients, other_parts, resolve_copies
from allnet_edge.data.importers import aria, cnmc, folders
from allnet_edge.data.importers.listing import Found, Listing
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.scan_cache import Inspected
from allnet_edge.errors import DataError, ImageError
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.base import known_name

LAYOUTS = ("auto", "cnmc", "aria", "folders", "phantom")
PHANTOM_MARK = "phantom.json"

_RECOGNISES: dict[str, Callable[[Path], bool]] = {
    "cnmc": cnmc.recognises,
    "aria": aria.recognises,
    "folders": folders.recognises,
}
_READ: dict[str, Callable[[Path], Listing]] = {
    "cnmc": cnmc.read,
    "phantom": cnmc.read,
    "aria": aria.read,
    "folders": folders.read,
}


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that no index will hold.

    Attributes:
        path: Relative to the data set's root, with ``/``.
        why: The reason, in one line.
    """

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a data set's files are, before copies are dropped and patients merged.

    Attributes:
        root: The data set's folder.
        layout: ``cnmc``, ``aria``, ``folders`` or ``phantom``.
        samples: The files that decode, sorted by id.
        unusable: The files that do not, or whose label is unknown, sorted by path.
        notes: What else the importer had to tell, one sentence each.
        thumbnails: uint8 ``[len(samples), 32, 32]``, as `leakage.near_identical` takes them.
    """

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    unusable: tuple[Unusable, ...]
    thumbnails: leakage.Thumbnails
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """How many files there are, usable or not."""
        return len(self.samples) + len(self.unusable)

    @property
    def sizes(self) -> dict[tuple[int, int], int]:
        """How many usable images have each (width, height), the most frequent first."""
        return dict(Counter((s.width, s.height) for s in self.samples).most_common())


def find_layout(root: Path, layout: str = "auto") -> str:
    """The layout of the data set in ``root``: the one asked for, or the first that fits.

    A folder marked as phantom keeps that name whatever is asked for, so that made cells are never
    taken for real ones.

    Raises:
        DataError: There is no such folder, nothing in it fits, or it does not fit ``layout``.
        UnknownNameError: No layout is called so.
    """
    known_name("layout", layout, LAYOUTS)
    if not root.is_dir():
        raise DataError("no such folder", where=root, fix="name the folder that holds the images")
    if (root / PHANTOM_MARK).is_file() and layout in ("auto", "cnmc", "phantom"):
        return "phantom"
    wanted = list(_RECOGNISES) if layout == "auto" else [layout]
    for name in wanted:
        if name in _RECOGNISES and _RECOGNISES[name](root):
            return name
    kind = "of any known layout" if layout == "auto" else f"in the layout '{layout}'"
    raise DataError(
        f"no images {kind} in this folder",
        where=root,
        fix="put the images of each class into DIR/<class>/, or name the folder that holds "
        "C-NMC_training_data/ or Aria's class folders",
    )


def scan(
    root: Path,
    layout: str = "auto",
    progress: Progress = silent,
    *,
    workers: int | None = None,
    cache: Path | None = None,
) -> Scan:
    """Hash and fully decode every file of a data set.

    Args:
        root: The data set's folder.
        layout: One of `LAYOUTS`.
        progress: Told after each file.
        workers: Threads; None for one a core, at most eight.
        cache: A folder of the caller's in which results are kept; an unchanged file is not read
            again, see `scan_cache`.

    Raises:
        DataError: As `find_layout`, or a label file of the data set is unusable.
        UnknownNameError: No layout is called so.
    """
    name = find_layout(root, layout)
    listing = _READ[name](root)
    known = scan_cache.read(cache, root) if cache is not None else {}
    inspected = {}
    with images.decoding_threads(workers) as pool:
        results = pool.map(lambda found: _inspect(found, root, known), listing.found)
        for done, (found, result) in enumerate(zip(listing.found, results, strict=True), 1):
            inspected[_id(found, root)] = result
            progress("reading images", done, len(listing.found))
    if cache is not None:
        scan_cache.write(cache, root, inspected)
    return _collect(root, name, listing, inspected)


def load_index(
    root: Path,
    layout: str = "auto",
    progress: Progress = silent,
    *,
    workers: int | None = None,
    cache: Path | None = None,
) -> SampleIndex:
    """Scan a data set and index what can be used of it; see `scan` and `index_of`."""
    return index_of(scan(root, layout, progress, workers=workers, cache=cache))


def index_of(scanned: Scan) -> SampleIndex:
    """Index the usable images: one of each set of copies, patients that share a file merged.

    Raises:
        DataError: Nothing is usable, or only one class is.
    """
    kept, _ = resolve_copies(scanned.samples)
    merged, _ = merge_patients(scanned.samples, kept)
    if not merged:
        first = "".join(f"; first: {one.path}: {one.why}" for one in scanned.unusable[:1])
        raise DataError(
            f"none of {scanned.images:,} files is usable{first}",
            where=scanned.root,
            fix="run `allnet-edge data check` for the reason of each file",
        )
    index = SampleIndex(
        scanned.root,
        scanned.layout,
        merged,
        near_copies_of(scanned, kept),
        other_parts(scanned.samples, kept),
    )
    if len(index.labels) < 2:
        raise DataError(
            f"only one class: {index.labels[0]} ({len(merged):,} images)",
            where=scanned.root,
            fix="a classifier needs images of at least two classes, each in its folder",
        )
    return index


def near_copies_of(scanned: Scan, kept: Sequence[Sample]) -> tuple[tuple[str, ...], ...]:
    """The ids of each group of near-identical images among the samples that are kept."""
    row_of = {sample.id: row for row, sample in enumerate(scanned.samples)}
    rows = [row_of[sample.id] for sample in kept]
    groups = leakage.near_identical(scanned.thumbnails[rows])
    return tuple(tuple(kept[row].id for row in group) for group in groups)


def _id(found: Found, root: Path) -> str:
    return found.path.relative_to(root).as_posix()


def _inspect(found: Found, root: Path, known: dict[str, Inspected]) -> Inspected:
    path = found.path
    try:
        status = path.stat()
    except OSError as error:
        return Inspected((0, 0, 0), why=f"unreadable: {error.strerror}")
    before = known.get(_id(found, root))
    stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if before is not None and before.stamp == stamp:
        return before
    if path.suffix.lower() not in images.SUFFIXES:
        why = f"suffix '{path.suffix}' is none of {', '.join(images.SUFFIXES)}"
        return Inspected(stamp, why=why)
    try:
        data = images.read_bytes(path)
        image = images.decode(data)
    except ImageError as error:
        return Inspected(stamp, why=error.what)
    digest = hashlib.sha256(data).hexdigest()
    small = leakage.thumbnail(image)
    return Inspected(stamp, digest, image.width, image.height, thumbnail=small)


def _collect(root: Path, layout: str, listing: Listing, inspected: dict[str, Inspected]) -> Scan:
    ordered = sorted(listing.found, key=lambda found: _id(found, root))
    samples, unusable, small = [], [], []
    for found in ordered:
        result = inspected[_id(found, root)]
        why = result.why or found.problem
        if why is not None:
            unusable.append(Unusable(_id(found, root), why))
            continue
        samples.append(_sample(found, root, result))
        small.append(result.thumbnail)
    pixels = np.frombuffer(b"".join(small), np.uint8)
    thumbnails = pixels.reshape(-1, leakage.SIDE, leakage.SIDE)
    return Scan(root, layout, tuple(samples), tuple(unusable), thumbnails, listing.notes)


def _sample(found: Found, root: Path, result: Inspected) -> Sample:
    return Sample(
        id=_id(found, root),
        sha256=result.sha256,
        label=found.label,
        patient=found.patient,
        part=found.part,
        order=found.order,
        width=result.width,
        height=result.height,
    )
