"""What a network saw before it is judged, and the refusal to judge it on that."""

from collections.abc import Collection, Sequence
from pathlib import Path

from allnet_edge.data.deal import Part
from allnet_edge.data.people import people_of
from allnet_edge.data.proof import first
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import Split, load_split
from allnet_edge.errors import IntegrityError, SplitError

USED: tuple[Part, ...] = ("train", "validation")
"""Parts that a network was fitted or chosen on."""


def own_split(run: Path, split_sha256: str) -> Split:
    """The split that a run was trained on, proven by the hash in its description.

    Args:
        run: Folder of the run.
        split_sha256: As its description has it.

    Raises:
        SplitError: The file cannot be read or is no split.
        IntegrityError: It was changed after training.
    """
    path = run / "split.json"
    own = load_split(path)
    if own.sha256 != split_sha256:
        raise IntegrityError(
            "the run's split was changed after training: its hash differs from model.json",
            where=path,
            fix="restore the file, or train again",
        )
    return own


def refuse_seen(split: Split, part: Part, own: Split, used: Sequence[Part], *, where: Path) -> None:
    """Refuse a part that holds images, or patients, on which the network was fitted or chosen.

    Args:
        split: That is judged by; a leaking one may share patients, never images.
        part: Of it.
        own: The split that the network was trained on.
        used: Parts of ``own``.
        where: The file of ``split``.

    Raises:
        SplitError: Names the first images.
    """
    seen = [member for name in used for member in own.parts[name]]
    files = {member.sha256 for member in seen}
    patients = {member.patient for member in seen if member.patient is not None}
    shared = [
        member.id
        for member in split.parts[part]
        if member.sha256 in files or (not split.leaking and member.patient in patients)
    ]
    if shared:
        raise SplitError(
            f"the {part} part holds {len(shared):,} images that the network was trained or chosen "
            f"on, or whose patients it was: {first(shared)}",
            where=where,
            fix="use the split of the run (leave --split out), or train again",
        )


def refuse_files(
    samples: Sequence[Sample],
    index: SampleIndex,
    sha256s: Collection[str],
    *,
    what: str,
    leaking: bool,
) -> None:
    """Refuse images that are among known files, or whose people are on them.

    Args:
        samples: To be judged on.
        index: The data set.
        sha256s: Files that were used.
        what: They were used for, for the message: ``calibration``.
        leaking: The split may share patients, never images.

    Raises:
        SplitError: Names the first images.
    """
    people = people_of(index)
    known = {
        people[sample.id]
        for sample in index.samples
        if sample.sha256 in sha256s and sample.id in people
    }
    shared = [
        sample.id
        for sample in samples
        if sample.sha256 in sha256s or (not leaking and people.get(sample.id) in known)
    ]
    if shared:
        raise SplitError(
            f"{len(shared):,} images, or their patients, were used for {what}: {first(shared)}",
            where=index.root,
            fix="judge on cells that took no part in making the network",
        )
