"""C-NMC: the challenge's own parts, the published random split, and the copies between folds."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from split_support import cnmc_index, counts, sequence_index

from allnet_edge.data.check import check
from allnet_edge.data.folds import make_folds
from allnet_edge.data.samples import SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import Split, make_split
from allnet_edge.errors import SplitError, UsageError

MakeCnmc = Callable[..., Path]

PRELIM = "C-NMC_test_prelim_phase_data"

# Who shares how many byte-identical files with whom in the published folds (from their hashes).
# The fold of H5 is not known: one is made up here.
FOLD = {
    "20": 0, "21": 2, "51": 1, "78": 2, "75": 2,
    "H2": 2, "H4": 2, "H5": 0, "H6": 0, "H10": 1, "h3": 2,
}  # fmt: skip
PAIRS = {
    ("20", "21"): 71, ("51", "78"): 11, ("51", "75"): 10,
    ("H2", "H4"): 3, ("H2", "H5"): 2, ("H2", "H6"): 1, ("H10", "h3"): 1,
}  # fmt: skip
OTHERS = {"1": 0, "2": 0, "3": 1, "4": 1, "5": 2, "H1": 0, "H7": 1, "H8": 1, "H9": 2}


def name(person: str, cell: int, fold: int) -> str:
    label = "hem" if person.upper().startswith("H") else "all"
    return f"C-NMC_training_data/fold_{fold}/{label}/UID_{person}_1_{cell}_{label}"


def published() -> dict[str, int]:
    """The files of a set that leaks like the published one, each with the seed of its texture."""
    cells, seeds = {}, iter(range(10_000))
    number: Counter[str] = Counter()
    for person, fold in {**FOLD, **OTHERS}.items():
        for _ in range(3):  # cells of their own
            number[person] += 1
            cells[name(person, number[person], fold)] = next(seeds)
    for pair, copies in PAIRS.items():
        for _ in range(copies):
            seed = next(seeds)
            for person in pair:
                number[person] += 1
                cells[name(person, number[person], FOLD[person])] = seed
    for seed in range(20_000, 20_012):
        cells[f"{PRELIM}/{seed - 20_000 + 1}"] = seed
    return cells


@pytest.fixture
def leaking_set(make_cnmc: MakeCnmc) -> Path:
    root = make_cnmc(published())
    rows = [
        f"UID_{'H' if n % 2 else ''}{60 + n // 4}_1_{n}_{'hem' if n % 2 else 'all'}.bmp,"
        f"{n}.bmp,{(n + 1) % 2}"
        for n in range(1, 13)
    ]
    table = "\n".join(["Patient_ID,new_names,labels", *rows])
    (root / f"{PRELIM}_labels.csv").write_text(table)
    return root


def hashes(root: Path, *folders: str) -> set[str]:
    """Straight from the disk, past everything that is tested here."""
    files = [path for folder in folders for path in (root / folder).rglob("*.bmp")]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def bytes_of(split: Split, part: str) -> set[str]:
    return {m.sha256 for name, held in split.parts.items() if name == part for m in held}


def atoms(split: Split, part: str) -> set[str]:
    """The patients of a part as the data set names them, before any are merged."""
    return {
        one
        for name, held in split.parts.items()
        if name == part
        for m in held
        for one in (m.patient or "").split("+")
    }


def persons() -> Iterator[set[str]]:
    yield {"all:20", "all:21"}
    yield {"all:51", "all:75", "all:78"}
    yield {"hem:H2", "hem:H4", "hem:H5", "hem:H6"}
    yield {"hem:H10", "hem:H3"}


def test_the_copies_of_the_published_folds_merge_their_patients(leaking_set: Path) -> None:
    report = check(leaking_set)
    assert report.near_duplicates == ()
    assert len(report.duplicates) == sum(PAIRS.values())
    assert [set(one) for one in report.merged_patients] == sorted(persons(), key=min)


def test_official_parts_hold_no_copy_on_both_sides(leaking_set: Path) -> None:
    index = load_index(leaking_set)
    split = make_split(index, "patient")
    split.verify(index)
    assert "challenge's own parts" in split.why
    assert split.proof.images_disjoint
    assert split.proof.patients_disjoint
    for person in persons():
        assert not person & atoms(split, "train")  # each of them stands in fold 2 as well
        assert person <= atoms(split, "validation")


def test_official_validation_and_test_keep_their_published_extent(leaking_set: Path) -> None:
    """Also of the 71 files that fold 0 holds first: they are fold 2's as much."""
    folder = "C-NMC_training_data"
    split = make_split(load_index(leaking_set), "patient")
    assert bytes_of(split, "validation") == hashes(leaking_set, f"{folder}/fold_2")
    assert bytes_of(split, "test") == hashes(leaking_set, PRELIM)
    everything = hashes(leaking_set, folder, PRELIM)
    left_out = {one.id for one in split.left_out}
    assert left_out == {
        f"{name(person, cell, FOLD[person])}.bmp"
        for person in ("20", "51", "H5", "H6", "H10")
        for cell in (1, 2, 3)
    }
    assert {one.why for one in split.left_out} >= {
        "patient all:20+all:21 also stands in validation"
    }
    trained = hashes(leaking_set, f"{folder}/fold_0", f"{folder}/fold_1")
    assert bytes_of(split, "train") == trained - bytes_of(split, "validation") - {
        hashlib.sha256((leaking_set / one).read_bytes()).hexdigest() for one in left_out
    }
    assert sum(len(held) for held in split.parts.values()) + len(left_out) == len(everything)


def test_labels_of_the_preliminary_set_come_from_its_table(leaking_set: Path) -> None:
    split = make_split(load_index(leaking_set), "patient")
    labels = {Path(m.id).stem: (m.label, m.patient) for m in split.parts["test"]}
    assert labels["1"] == ("hem", "hem:H60")
    assert labels["12"] == ("all", "all:63")
    assert Counter(label for label, _ in labels.values()) == {"all": 6, "hem": 6}


@pytest.mark.parametrize("prelim_parent", ["", "validation_data/"])
def test_a_training_cell_that_is_in_the_preliminary_set_too(
    make_cnmc: MakeCnmc, prelim_parent: str
) -> None:
    """Whichever of the two files the index keeps: the copy counts as the preliminary set's."""
    cells = {
        f"C-NMC_training_data/fold_{fold}/{label}/UID_{mark}{3 * n + fold}_1_{c}_{label}": seed
        for seed, (fold, (label, mark), n, c) in enumerate(
            (fold, kind, n, c)
            for fold in range(3)
            for kind in (("all", ""), ("hem", "H"))
            for n in range(2)
            for c in range(2)
        )
    }
    prelim = f"{prelim_parent}{PRELIM}"
    cells |= {f"{prelim}/{n}": 900 + n for n in range(1, 6)}
    cells[f"{prelim}/6"] = cells["C-NMC_training_data/fold_0/all/UID_3_1_0_all"]
    root = make_cnmc(cells)
    rows = [f"UID_H9{n}_1_1_hem.bmp,{n}.bmp,0" for n in (1, 2)]
    rows += [f"UID_9{n}_1_1_all.bmp,{n}.bmp,1" for n in (3, 4, 5, 6)]
    (root / f"{prelim}_labels.csv").write_text("\n".join(["Patient_ID,new_names,labels", *rows]))
    index = load_index(root)
    official = make_split(index, "patient")
    official.verify(index)
    assert bytes_of(official, "test") == hashes(root, prelim)
    (other,) = official.left_out
    assert (other.id.rsplit("/", 1)[1], other.why) == (
        "UID_3_1_1_all.bmp",
        "patient all:3+all:96 also stands in test",
    )
    for clean in (make_split(index, "paper"), *make_folds(index, 3)):
        clean.verify(index)
        seen = bytes_of(clean, "train") | bytes_of(clean, "validation") | bytes_of(clean, "test")
        assert not seen & hashes(root, prelim)
    assert "all:3" not in set().union(*(atoms(s, "test") for s in make_folds(index, 3)))


def test_folds_of_the_published_copies(leaking_set: Path) -> None:
    index = load_index(leaking_set)
    splits = make_folds(index, 4)
    for split in splits:
        split.verify(index)
        held = [atoms(split, part) for part in ("train", "validation", "test")]
        for person in persons():
            assert sorted(bool(person & part) for part in held) == [False, False, True]
        assert not bytes_of(split, "train") & bytes_of(split, "test")
    tested = [m.sha256 for split in splits for m in split.parts["test"]]
    assert len(tested) == len(set(tested))
    assert set(tested) == hashes(leaking_set, "C-NMC_training_data")


def test_official_parts_where_all_are_there() -> None:
    index = cnmc_index(prelim=2)
    split = make_split(index, "patient")
    part_of = {m.id.split("/")[0]: part for part, held in split.parts.items() for m in held}
    assert part_of == {
        "fold_0": "train",
        "fold_1": "train",
        "fold_2": "validation",
        "prelim": "test",
    }
    assert "challenge's own parts" in split.why
    assert "dealt whole" in make_split(index, "patient", official=False).why


def test_official_parts_leave_out_whom_near_identical_images_place_in_two() -> None:
    index = cnmc_index(prelim=2)
    linked = replace(index, near_copies=(("fold_0/all/all0_0", "fold_2/all/all2_0"),))
    split = make_split(linked, "patient")
    split.verify(linked)
    assert {one.id for one in split.left_out} == {f"fold_0/all/all0_{n}" for n in range(4)}
    assert {one.why for one in split.left_out} == {"patient all:0 also stands in validation"}


def test_official_parts_that_copies_leave_without_a_class() -> None:
    """All healthy people of fold 0 and 1 stand in fold 2 too: nothing healthy is left to train."""
    index = cnmc_index(prelim=2, people=3)
    linked = replace(
        index,
        near_copies=(
            ("fold_0/hem/hem0_0", "fold_2/hem/hem2_0"),
            ("fold_1/hem/hem1_0", "fold_2/hem/hem2_1"),
        ),
    )
    with pytest.raises(SplitError, match="no image of class hem is left for train") as caught:
        make_split(linked, "patient")
    assert "grouped" in (caught.value.fix or "")


def test_too_small_a_preliminary_set_means_patients_are_dealt() -> None:
    split = make_split(cnmc_index(prelim=1), "patient")
    assert "20 patients, dealt whole" in split.why
    assert "not the challenge's own parts" in split.why


def near(index: SampleIndex) -> SampleIndex:
    """With a near-identical copy for each image of patient all:0, under the name of all:3."""
    pairs = tuple((f"fold_0/all/all0_{n}", f"fold_0/all/all3_{n}") for n in range(4))
    return replace(index, near_copies=pairs)


def test_the_published_split_takes_60_20_20_of_the_training_folders() -> None:
    index = near(cnmc_index(prelim=5, people=25))
    split = make_split(index, "paper", seed=4)
    split.verify(index)
    assert {part: dict(held) for part, held in counts(split).items()} == {
        "train": {"all": 60, "hem": 60},
        "validation": {"all": 20, "hem": 20},
        "test": {"all": 20, "hem": 20},
    }
    assert {one.id.split("/")[0] for one in split.left_out} == {"prelim"}
    assert {one.why for one in split.left_out} == {
        "of the preliminary test set: the published split took the training folders only"
    }
    assert len(split.left_out) == 10
    assert make_split(index, "paper", seed=4) == split != make_split(index, "paper", seed=5)


def test_the_published_split_is_named_as_leaking() -> None:
    split = make_split(cnmc_index(prelim=2), "paper")
    assert split.leaking
    assert "LEAKING" in split.why
    assert "published" in split.why
    assert split.proof.images_disjoint is True
    assert split.proof.patients_disjoint is False
    fields = make_split(sequence_index({"a": list(range(50)), "b": list(range(50))}), "paper")
    assert fields.leaking
    assert fields.proof.patients_disjoint is None
    assert not fields.left_out


def test_the_published_split_parts_near_copies_and_random_does_not() -> None:
    index = near(cnmc_index(prelim=2))
    straddling = 0
    for seed in range(10):
        split = make_split(index, "paper", seed=seed)
        part_of = {m.id: part for part, held in split.parts.items() for m in held}
        straddling += sum(part_of[one] != part_of[other] for one, other in index.near_copies)
        kept = {
            m.id: p for p, held in make_split(index, "random", seed).parts.items() for m in held
        }
        assert all(
            kept.get(one, kept.get(other)) == kept.get(other, kept.get(one))
            for one, other in index.near_copies
        )
    assert straddling > 0


def test_the_published_split_knows_no_other_shares() -> None:
    with pytest.raises(UsageError, match=r"the published split is 0\.6, 0\.2, 0\.2"):
        make_split(cnmc_index(prelim=2), "paper", fractions=(0.7, 0.1, 0.2))


def test_the_published_split_needs_three_images_of_a_class() -> None:
    index = cnmc_index(prelim=9)
    few = tuple(s for s in index.samples if s.part == "prelim" or s.label == "all")
    with pytest.raises(SplitError, match="class hem has 0 images, fewer than the 3 parts"):
        make_split(replace(index, samples=few), "paper")


def test_the_published_split_of_real_cells(shared_data: Path) -> None:
    index = load_index(shared_data / "cnmc")
    split = make_split(index, "paper")
    split.verify(index)
    assert [len(split.parts[part]) for part in ("train", "validation", "test")] == [45, 15, 15]
    assert len(split.left_out) == 3
    assert split.proof.patients_disjoint is False
