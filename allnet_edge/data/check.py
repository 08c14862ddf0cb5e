"""What is wrong with a data set, before a model learns from it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import Field

from allnet_edge.data.copies import groups_of_copies, merge_patients, resolve_copies
from allnet_edge.data.samples import Sample
from allnet_edge.data.scan import Scan, near_copies_of, scan
from allnet_edge.progress import Progress, silent
from allnet_edge.spec.base import Frozen

DOMINATING = 0.95
_SHOWN = 3


class UnusableFile(Frozen):
    """A file that cannot be used, and why."""

    path: str
    why: str


class DataReport(Frozen):
    """What `check` found; its JSON is what ``data check --json`` prints.

    Attributes:
        layout: ``cnmc``, ``aria``, ``folders`` or ``phantom``.
        images: Files found, usable or not.
        usable: Files that decode and whose class is certain; copies count.
        classes: Usable files of each class.
        parts: Usable files of each part that the data set itself has.
        patients: Patients of each class after merging; empty where no patient is known.
        merged_patients: Patients that share a byte-identical file.
        unusable: The other files.
        duplicates: Groups of byte-identical files; an index keeps the first of each.
        near_duplicates: Groups of near-identical images, see `leakage`; one file of each group of
            byte-identical ones stands for all of them.
        sizes: Usable images of each size in pixels, such as ``450x450``.
        problems: Why no model can be trained on this set; not in the JSON.
        warnings: What else should be known, one sentence each; not in the JSON.
    """

    layout: str
    images: int
    usable: int
    classes: dict[str, int]
    parts: dict[str, int]
    patients: dict[str, int]
    merged_patients: tuple[tuple[str, ...], ...]
    unusable: tuple[UnusableFile, ...]
    duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    sizes: dict[str, int]
    problems: tuple[str, ...] = Field(default=(), exclude=True)
    warnings: tuple[str, ...] = Field(default=(), exclude=True)

    @property
    def usable_for_training(self) -> bool:
        """Whether an index can be made of the set: usable images of two classes at least."""
        return not self.problems


def check(
    root: Path,
    layout: str = "auto",
    progress: Progress = silent,
    *,
    workers: int | None = None,
    cache: Path | None = None,
) -> DataReport:
    """Read every file of a data set and report what is wrong with it.

    Args:
        root: The data set's folder.
        layout: As for `scan`.
        progress: Told after each file.
        workers: Threads; None for one a core, at most eight.
        cache: As for `scan`.

    Raises:
        DataError: There is nothing to check, or a label file of the set is unusable.
        UnknownNameError: No layout is called so.
    """
    return report_on(scan(root, layout, progress, workers=workers, cache=cache))


def report_on(scanned: Scan) -> DataReport:
    """Judge a data set that was scanned."""
    kept, conflicts = resolve_copies(scanned.samples)
    contradicted = {sample.id: group for group in conflicts for sample in group}
    certain = [sample for sample in scanned.samples if sample.id not in contradicted]
    renamed, merged = merge_patients(scanned.samples, kept)
    near = near_copies_of(scanned, kept)
    classes = _count(sample.label for sample in certain)
    unusable = [UnusableFile(path=one.path, why=one.why) for one in scanned.unusable]
    unusable += [
        UnusableFile(path=name, why=_contradiction(name, group))
        for name, group in contradicted.items()
    ]
    return DataReport(
        layout=scanned.layout,
        images=scanned.images,
        usable=len(certain),
        classes=classes,
        parts=_count(sample.part for sample in certain),
        patients=_patients(renamed),
        merged_patients=tuple(map(tuple, merged)),
        unusable=tuple(sorted(unusable, key=lambda one: one.path)),
        duplicates=tuple(
            tuple(sample.id for sample in group) for group in groups_of_copies(scanned.samples)
        ),
        near_duplicates=near,
        sizes={f"{width}x{height}": n for (width, height), n in scanned.sizes.items()},
        problems=tuple(_problems(classes)),
        warnings=(*scanned.notes, *_warnings(scanned, renamed, near)),
    )


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _patients(samples: Iterable[Sample]) -> dict[str, int]:
    known: defaultdict[str, set[str]] = defaultdict(set)
    for sample in samples:
        if sample.patient is not None:
            known[sample.label].add(sample.patient)
    return {label: len(known[label]) for label in sorted(known)}


def _contradiction(name: str, group: Sequence[Sample]) -> str:
    label = next(sample.label for sample in group if sample.id == name)
    other = next(sample for sample in group if sample.label != label)
    return f"same bytes as {other.id}, but that is labelled {other.label} and this {label}"


def _problems(classes: dict[str, int]) -> Iterator[str]:
    if not classes:
        yield "no file is usable"
    elif len(classes) == 1:
        yield f"only one class has usable images: {next(iter(classes))}"


def _warnings(
    scanned: Scan, kept: Sequence[Sample], near: Sequence[Sequence[str]]
) -> Iterator[str]:
    if scanned.layout == "phantom":
        yield "phantom cells: made images, no patient stands behind them"
    yield from _odd_sizes(scanned)
    across = [g for g in groups_of_copies(scanned.samples) if len({s.part for s in g}) > 1]
    if across:
        yield (
            f"{len(across):,} files have copies in another of the set's own parts, first: "
            f"{across[0][0].id} = {across[0][1].id}"
        )
    by_id = {sample.id: sample for sample in kept}
    groups = [[by_id[name] for name in group] for group in near]
    yield from _near_copies_across(groups)
    unknown = sum(sample.patient is None for sample in kept)
    if unknown:
        yield (
            f"the patient of {unknown:,} images is unknown: a split by patient is impossible, and "
            f"no other split can prove that patients are apart"
        )


def _odd_sizes(scanned: Scan) -> Iterator[str]:
    sizes = scanned.sizes
    if len(sizes) < 2:
        return
    (width, height), most = next(iter(sizes.items()))
    odd = [sample for sample in scanned.samples if (sample.width, sample.height) != (width, height)]
    if most > DOMINATING * len(scanned.samples):
        names = ", ".join(f"{s.id} ({s.width}x{s.height})" for s in odd[:_SHOWN])
        yield f"{len(odd):,} images are not {width}x{height} like the others, first: {names}"
    else:
        yield f"images come in {len(sizes)} sizes, most often {width}x{height} ({most:,})"


def _near_copies_across(groups: Sequence[Sequence[Sample]]) -> Iterator[str]:
    people = [g for g in groups if len({s.patient for s in g if s.patient is not None}) > 1]
    if people:
        names = " and ".join(sorted({sample.patient or "" for sample in people[0]}))
        yield (
            f"{len(people):,} groups of near-identical images carry different patients, first: "
            f"{names}; a split by patient keeps these patients together"
        )
    labels = [g for g in groups if len({s.label for s in g}) > 1]
    if labels:
        first = " = ".join(f"{s.id} ({s.label})" for s in labels[0][:2])
        yield f"{len(labels):,} groups of near-identical images carry different classes: {first}"
