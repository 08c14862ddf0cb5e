"""k-fold by patient."""

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from split_support import PATIENTS, cnmc_index, counts, index_of, patients_index, sample

from allnet_edge.data.folds import make_folds, save_folds
from allnet_edge.data.people import people_of
from allnet_edge.data.samples import SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import Split, load_split, make_split, save_split
from allnet_edge.errors import OutputDirError, SplitError, UsageError


def ids(split: Split, part: str) -> set[str]:
    return {m.id for name, held in split.parts.items() if name == part for m in held}


def test_each_fold_tests_one_pile_validates_the_next_and_trains_on_the_others() -> None:
    splits = make_folds(PATIENTS, 4, seed=2)
    assert [(s.fold.number, s.fold.of) for s in splits if s.fold] == [(n, 4) for n in range(1, 5)]
    piles = [ids(split, "test") for split in splits]
    assert set.union(*piles) == {s.id for s in PATIENTS.samples}
    assert not any(one & other for one, other in combinations(piles, 2))
    for row, split in enumerate(splits):
        split.verify(PATIENTS)
        assert ids(split, "validation") == piles[(row + 1) % 4]
        assert ids(split, "train") == piles[(row + 2) % 4] | piles[(row + 3) % 4]
        assert split.proof.patients_disjoint is True
        assert not split.leaking
        assert split.fractions == (0.5, 0.25, 0.25)
        assert f"fold {row + 1} of 4: 10 patients, dealt whole" in split.why
        assert f"pile {(row + 1) % 4 + 1} validates" in split.why


def test_shares_are_even_when_patients_are_many() -> None:
    sizes = [3 + person % 17 for person in range(60)]
    index = patients_index({"all": sizes, "hem": sizes[:40]})
    for split in make_folds(index, 5):
        held = counts(split)["test"]
        assert held["all"] / sum(sizes) == pytest.approx(0.2, abs=0.01)
        assert held["hem"] / sum(sizes[:40]) == pytest.approx(0.2, abs=0.01)


def test_the_most_even_of_several_dealings_is_no_worse_than_any_other_seed() -> None:
    """Chosen for the whole set: one huge patient must not excuse the piles of the others."""
    index = patients_index({"all": [60, 9, 8, 7, 6, 5, 4, 3, 2, 1], "hem": [5] * 10})
    for seed in range(5):
        others = sorted(counts(split)["test"]["all"] for split in make_folds(index, 4, seed))[:3]
        assert max(others) - min(others) <= 1  # 45 images in three piles


def test_seed_decides() -> None:
    assert make_folds(PATIENTS, 3, seed=1) == make_folds(PATIENTS, 3, seed=1)
    assert len({make_folds(PATIENTS, 3, seed=s)[0].parts["test"] for s in range(6)}) > 1


def test_merged_patients_are_one_person() -> None:
    linked = replace(
        PATIENTS, near_copies=(("all/4_0.png", "all/5_0.png"), ("hem/2_1.png", "hem/3_2.png"))
    )
    for seed in range(8):
        for split in make_folds(linked, 3, seed):
            split.verify(linked)
            part_of = {m.patient: part for part, held in split.parts.items() for m in held}
            assert part_of["all:4"] == part_of["all:5"]
            assert part_of["hem:2"] == part_of["hem:3"]
    with pytest.raises(SplitError, match=r"class hem has 3 patients \(hem:0, hem:1, hem:2\+hem:3;"):
        make_folds(linked, 4)


def test_as_many_folds_as_the_rarest_class_has_patients() -> None:
    splits = make_folds(PATIENTS, 4)
    tested = [{m.patient for m in s.parts["test"] if m.label == "hem"} for s in splits]
    assert all(len(people) == 1 for people in tested)
    with pytest.raises(SplitError, match="5 folds are too many: class hem has 4 patients") as it:
        make_folds(PATIENTS, 5)
    assert "use --folds 4 or fewer" in (it.value.fix or "")
    assert it.value.exit_code == 9


def test_too_few_patients_for_any_folds() -> None:
    index = patients_index({"all": [4, 4, 4], "hem": [9, 9]})
    with pytest.raises(SplitError, match="class hem has 2 patients") as caught:
        make_folds(index, 3)
    assert "3 folds need 3" in (caught.value.fix or "")


@pytest.mark.parametrize(("folds", "seed"), [(2, 0), (1, 0), (0, 0), (-3, 0), (3, -1)])
def test_senseless_settings(folds: int, seed: int) -> None:
    with pytest.raises(UsageError):
        make_folds(PATIENTS, folds, seed)


def test_unknown_patients_are_refused() -> None:
    known = [sample(f"{k}/{n}.png", k, f"{k}{n}") for k in "ab" for n in range(5)]
    with pytest.raises(SplitError, match=r"patient of 1 images is unknown \(first: a/x.png\)"):
        make_folds(index_of([*known, sample("a/x.png", "a")]), 3)


def test_patients_who_carry_several_classes() -> None:
    """Five people, four of whom have both classes: 'a' alone does not bound the folds."""
    people = [sample(f"{k}/{p}_{n}.png", k, p) for p in "PQRS" for k in "ab" for n in range(3)]
    index = index_of([*people, sample("a/T_0.png", "a", "T")])
    splits = make_folds(index, 4)
    assert all(set(held) == {"a", "b"} for split in splits for held in counts(split).values())
    with pytest.raises(SplitError, match="class b has 4 patients"):
        make_folds(index, 5)


def test_where_no_dealing_gives_every_fold_every_class() -> None:
    """Three people of each class, but a person who is two of them leaves two piles for three."""
    rows = [("a", "PQR"), ("b", "PQS"), ("c", "RST")]
    index = index_of(
        [sample(f"{k}/{p}_{n}.png", k, p) for k, people in rows for p in people for n in range(2)]
    )
    # a: P Q R and b: P Q S each want one person a pile, so that R and S share the third; c: R S T
    # then has only two piles.
    with pytest.raises(SplitError, match="no way found to give each of 3 folds every class") as it:
        make_folds(index, 3)
    assert "fold rare classes together" in (it.value.fix or "")


def test_the_preliminary_set_stays_out() -> None:
    index = cnmc_index(prelim=3)
    for split in make_folds(index, 3):
        split.verify(index)
        assert {one.id for one in split.left_out} == {
            s.id for s in index.samples if s.part == "prelim"
        }
        assert {m.id.split("/")[0] for held in split.parts.values() for m in held} == {
            "fold_0",
            "fold_1",
            "fold_2",
        }
    dealt = make_folds(index, 3, official=False)
    assert all(not split.left_out for split in dealt)
    assert {m.id for split in dealt for m in split.parts["test"]} == {s.id for s in index.samples}


def test_who_stands_in_the_preliminary_set_stays_out_altogether() -> None:
    index = cnmc_index(prelim=3)
    linked = replace(
        index,
        near_copies=(("fold_1/all/all1_0", "prelim/all0"),),
        also_in=(("fold_0/hem/hem0_2", "prelim"),),
    )
    for split in make_folds(linked, 3):
        dealt = {m.patient for held in split.parts.values() for m in held}
        assert not {"all:1", "hem:0"} & dealt
        why = {one.id: one.why for one in split.left_out}
        assert why["fold_1/all/all1_3"] == ("patient all:1 also stands in the preliminary test set")
        assert why["fold_0/hem/hem0_2"].startswith("of the preliminary test set")


def test_folds_are_written_and_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "folds"
    save_folds(make_folds(PATIENTS, 4), folder)
    three = make_folds(PATIENTS, 3, seed=5)
    paths = save_folds(three, folder)
    assert sorted(folder.iterdir()) == list(paths)
    assert [path.name for path in paths] == ["fold-1.json", "fold-2.json", "fold-3.json"]
    assert tuple(load_split(path) for path in paths) == three


def test_folds_replace_nothing_else(tmp_path: Path) -> None:
    splits = make_folds(PATIENTS, 3)
    single = tmp_path / "single"
    single.mkdir()
    save_split(make_split(PATIENTS, "patient"), single / "fold-1.json")
    notes = tmp_path / "notes"
    save_folds(splits, notes)
    (notes / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    for folder in (single, notes, tmp_path / "file", tmp_path / "absent" / "folds"):
        with pytest.raises(OutputDirError):
            save_folds(splits, folder)
    assert len(list(notes.iterdir())) == 4
    assert "fold" not in json.loads((single / "fold-1.json").read_text())


def people_by_class(index: SampleIndex) -> Counter[str]:
    person = people_of(index)
    return Counter(
        label for label, _ in {(s.label, person[s.id]) for s in index.samples if s.part != "prelim"}
    )


def test_real_cnmc_goes_up_to_nine(shared_data: Path) -> None:
    """75 cells, 12 ALL and 9 HEM people once near-identical images are one: HEM is the limit."""
    index = load_index(shared_data / "cnmc")
    assert people_by_class(index) == {"all": 12, "hem": 9}
    for folds in range(3, 10):
        splits = make_folds(index, folds)
        tested = Counter(m.id for split in splits for m in split.parts["test"])
        assert set(tested.values()) == {1}
        assert len(tested) == 75
        for split in splits:
            split.verify(index)
            assert all(set(held) == {"all", "hem"} for held in counts(split).values())
            assert len(split.left_out) == 3
    with pytest.raises(SplitError, match=r"class hem has 9 patients \(hem:H1, hem:H10\+hem:H3,"):
        make_folds(index, 10)
