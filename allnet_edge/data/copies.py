"""Byte-identical files: which one is kept, and which patients they prove to be the same."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from allnet_edge.data.components import components
from allnet_edge.data.samples import Sample


def groups_of_copies(samples: Iterable[Sample]) -> list[tuple[Sample, ...]]:
    """The sets of two and more files with the same bytes, each sorted by id."""
    by_hash: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_hash[sample.sha256].append(sample)
    groups = [tuple(sorted(g, key=lambda s: s.id)) for g in by_hash.values() if len(g) > 1]
    return sorted(groups, key=lambda group: group[0].id)


def resolve_copies(
    samples: Sequence[Sample],
) -> tuple[tuple[Sample, ...], list[tuple[Sample, ...]]]:
    """Keep the first file of each set of copies, or none of it where the labels contradict.

    Returns:
        The kept samples in their order, and the sets that were dropped whole.
    """
    dropped: set[str] = set()
    conflicts = []
    for group in groups_of_copies(samples):
        conflict = len({sample.label for sample in group}) > 1
        dropped.update(sample.id for sample in (group if conflict else group[1:]))
        if conflict:
            conflicts.append(group)
    return tuple(s for s in samples if s.id not in dropped), conflicts


def other_parts(samples: Iterable[Sample], kept: Iterable[Sample]) -> tuple[tuple[str, str], ...]:
    """For each kept sample the other parts of the data set that hold a copy; see `SampleIndex`.

    Args:
        samples: All usable files, copies among them.
        kept: One of each set of copies.
    """
    of_bytes = {sample.sha256: sample for sample in kept}
    found = {
        (of_bytes[copy.sha256].id, copy.part)
        for group in groups_of_copies(samples)
        for copy in group
        if copy.sha256 in of_bytes and copy.part != of_bytes[copy.sha256].part
    }
    return tuple(sorted(found))


def merge_patients(
    samples: Iterable[Sample], kept: Iterable[Sample]
) -> tuple[tuple[Sample, ...], list[list[str]]]:
    """Give patients that share a file one name: its members, sorted, joined by ``+``.

    Args:
        samples: All usable files, copies among them.
        kept: The samples to rename.

    Returns:
        ``kept`` with merged names, and the sets of patients that were merged.
    """
    pairs = [
        (group[0].patient, other.patient)
        for group in groups_of_copies(samples)
        for other in group[1:]
    ]
    merged = components((a, b) for a, b in pairs if a is not None and b is not None)
    new_name = {name: "+".join(members) for members in merged for name in members}
    renamed = tuple(
        sample
        if sample.patient is None or sample.patient not in new_name
        else replace(sample, patient=new_name[sample.patient])
        for sample in kept
    )
    return renamed, merged
