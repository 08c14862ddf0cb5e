"""What the tests of splits share: indexes that no file stands behind."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.split import Split


def sample(
    name: str,
    label: str,
    patient: str | None = None,
    part: str = "all",
    order: int | None = None,
) -> Sample:
    return Sample(name, f"hash of {name}", label, patient, part, order, 64, 64)


def index_of(samples: list[Sample], layout: str = "folders") -> SampleIndex:
    ordered = tuple(sorted(samples, key=lambda one: one.id))
    return SampleIndex(Path("set"), layout, ordered)


def patients_index(per_class: dict[str, list[int]]) -> SampleIndex:
    """A data set with so many images of each patient of each class."""
    return index_of(
        [
            sample(f"{label}/{person}_{number}.png", label, f"{label}:{person}")
            for label, sizes in per_class.items()
            for person, size in enumerate(sizes)
            for number in range(size)
        ]
    )


def sequence_index(numbers: dict[str, list[int]]) -> SampleIndex:
    return index_of(
        [
            sample(f"{label}/{number:04}.jpg", label, order=number)
            for label, series in numbers.items()
            for number in series
        ],
        layout="aria",
    )


def cnmc_index(prelim: int, people: int = 9) -> SampleIndex:
    """So many patients of each class, a third in each fold, and a preliminary set."""
    cells = [
        sample(
            f"fold_{fold}/{label}/{label}{person}_{n}", label, f"{label}:{person}", f"fold_{fold}"
        )
        for label in ("all", "hem")
        for person in range(people)
        for fold in [person % 3]
        for n in range(4)
    ]
    cells += [
        sample(f"prelim/{label}{n}", label, f"{label}:9{n}", "prelim")
        for label in ("all", "hem")
        for n in range(prelim)
    ]
    return index_of(cells, layout="cnmc")


def counts(split: Split) -> dict[str, Counter[str]]:
    return {part: Counter(m.label for m in held) for part, held in split.parts.items()}


def tampered(split: Split, change: Callable[[dict[str, list[dict[str, object]]]], None]) -> Split:
    """The split as someone's editor left it."""
    plain = split.model_dump(mode="json")
    change(plain["parts"])
    return Split.model_validate(plain)


PATIENTS = patients_index({"all": [30, 20, 10, 10, 5, 5], "hem": [12, 8, 6, 4]})
