"""Who is seen on which image, and how whole people are dealt out.

A person is a patient, or several whose images are near-identical: the same slides stand under two
numbers, so that both are dealt as one. (Patients that share a byte-identical file carry one name
in the index already.)
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from allnet_edge.data.components import components
from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.errors import SplitError


def people_of(index: SampleIndex) -> dict[str, str]:
    """Who is seen on each image, by sample id: a patient, or several joined by ``+``.

    Images of unknown patients are left out.
    """
    patients = {sample.id: sample.patient for sample in index.samples if sample.patient}
    groups = [[patients[i] for i in group if i in patients] for group in index.near_copies]
    pairs = [(group[0], other) for group in groups for other in group[1:]]
    one_name = {name: "+".join(names) for names in components(pairs) for name in names}
    return {i: one_name.get(patient, patient) for i, patient in patients.items()}


def require_patients(index: SampleIndex) -> None:
    """Refuse a data set in which the patient of an image is unknown.

    Raises:
        SplitError: With the first such image.
    """
    unknown = [sample.id for sample in index.samples if not sample.patient]
    if unknown:
        raise SplitError(
            f"the patient of {len(unknown):,} images is unknown (first: {unknown[0]})",
            where=index.root,
            fix="split by block where the file numbers follow the capture, name the patients in "
            "patients.csv, or split at random, which leaks",
        )


def images_of(samples: Iterable[Sample], people: Mapping[str, str]) -> dict[str, Counter[str]]:
    """How many images of each class each person has."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        counts[people[sample.id]][sample.label] += 1
    return counts


def in_words(samples: Iterable[Sample], people: int) -> str:
    """How many patients the samples show, and how many people that makes."""
    patients = len({sample.patient for sample in samples})
    joined = f" ({people:,} when those with near-identical images count as one)"
    return f"{patients:,} patients{joined if people < patients else ''}"


def deal_people(
    people: Mapping[str, Counter[str]],
    labels: Sequence[str],
    shares: Sequence[float],
    rng: np.random.Generator,
) -> dict[str, int] | None:
    """Deal people greedily, the largest first, each to the pile furthest from its share.

    Args:
        people: Images of each class, by person.
        labels: The classes.
        shares: Of each pile, with the sum 1.
        rng: Jitters the order; every call is another attempt.

    Returns:
        The number of each person's pile; None when a pile ends without some class.
    """
    names = sorted(people)
    # Shares of each class: patients of a rare class weigh as much as those of a frequent one.
    weight = np.array([[people[name][label] for label in labels] for name in names], float)
    weight /= weight.sum(axis=0)
    jittered = weight.sum(axis=1) * rng.uniform(0.5, 1.5, len(names))
    missing = np.outer(shares, np.ones(len(labels)))
    empty = np.ones((len(shares), len(labels)), dtype=bool)
    carriers = (weight > 0).sum(axis=0)
    dealt = {}
    for row in np.argsort(-jittered, kind="stable"):
        carried = weight[row] > 0
        # When as many people of a class are left as piles lack it, only those piles may take.
        forced = carried & (carriers <= empty.sum(axis=0))
        allowed = (empty | ~forced).all(axis=1)
        if not allowed.any():
            return None
        # Between equals, the pile that lacks more of all classes together.
        gain = missing @ weight[row] + 1e-6 * missing.sum(axis=1)
        gain = np.where(allowed, gain, -np.inf)
        pile = int(np.argmax(gain))
        missing[pile] -= weight[row]
        empty[pile] &= ~carried
        carriers -= carried
        dealt[names[row]] = pile
    return None if empty.any() else dealt
