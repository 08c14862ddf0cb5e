from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from split_support import PATIENTS, counts, index_of, patients_index, sample, sequence_index

from allnet_edge.data.scan import load_index
from allnet_edge.data.split import known_protocol, make_split
from allnet_edge.errors import SplitError, UnknownNameError, UsageError


def test_by_patient_keeps_patients_whole_and_shares_the_classes() -> None:
    split = make_split(PATIENTS, "patient")
    split.verify(PATIENTS)
    assert not split.leaking
    assert (split.proof.images_disjoint, split.proof.patients_disjoint) == (True, True)
    assert sum(len(held) for held in split.parts.values()) == len(PATIENTS.samples)
    by_part = counts(split)
    assert all(by_part[part][label] for part in by_part for label in ("all", "hem"))
    assert 0.4 <= by_part["train"]["all"] / 80 <= 0.7
    assert "10 patients, dealt whole" in split.why


def test_shares_come_close_when_patients_are_many() -> None:
    index = patients_index({"all": [7] * 60, "hem": [5] * 40})
    by_part = counts(make_split(index, "patient", seed=3, fractions=(0.7, 0.1, 0.2)))
    for label, total in (("all", 420), ("hem", 200)):
        shares = [by_part[part][label] / total for part in ("train", "validation", "test")]
        assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.03)


def test_seed_decides() -> None:
    first, again, other = (make_split(PATIENTS, "patient", seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert {make_split(PATIENTS, "patient", seed=seed).parts["test"] for seed in range(8)} != {
        first.parts["test"]
    }
    assert other.seed == 1


def test_fewer_patients_than_parts() -> None:
    index = patients_index({"all": [4, 4, 4], "hem": [9, 9]})
    with pytest.raises(SplitError, match="fewer patients than parts: class hem has 2") as caught:
        make_split(index, "patient")
    assert "hem:0, hem:1" in str(caught.value)
    assert "add patients" in (caught.value.fix or "")


def test_patients_of_several_classes() -> None:
    people = [
        sample(f"{label}/{person}_{n}.png", label, f"P{person}")
        for person in range(6)
        for label in ("a", "b", "c")
        for n in range(3)
        if (person + ord(label)) % 3 or person > 2
    ]
    split = make_split(index_of(people), "patient")
    assert all(set(held) == {"a", "b", "c"} for held in counts(split).values())


def test_unknown_patients_and_unknown_order_are_refused_with_advice() -> None:
    fields = sequence_index({"a": [1, 2, 3], "b": [1, 2, 3]})
    with pytest.raises(SplitError, match=r"patient of 6 images is unknown \(first: a/0001.jpg\)"):
        make_split(fields, "patient")
    with pytest.raises(SplitError, match="capture order of 110 images is unknown"):
        make_split(PATIENTS, "block")


def test_patients_with_near_identical_images_stay_together() -> None:
    linked = replace(
        PATIENTS, near_copies=(("all/4_0.png", "all/5_0.png"), ("hem/2_1.png", "hem/3_2.png"))
    )
    for seed in range(12):
        split = make_split(linked, "patient", seed=seed)
        part_of = {m.patient: part for part, held in split.parts.items() for m in held}
        assert part_of["all:4"] == part_of["all:5"]
        assert part_of["hem:2"] == part_of["hem:3"]
        assert "8 when those with near-identical images count as one" in split.why


def test_near_copies_are_parted_in_a_random_split() -> None:
    fields = sequence_index({"a": list(range(30)), "b": list(range(30))})
    linked = replace(
        fields, near_copies=tuple((f"a/{n:04}.jpg", f"a/{n + 1:04}.jpg") for n in range(0, 30, 2))
    )
    split = make_split(linked, "random")
    part_of = {m.id: part for part, held in split.parts.items() for m in held}
    pairs = [{part_of[name] for name in pair if name in part_of} for pair in linked.near_copies]
    assert all(len(parts) == 1 for parts in pairs)
    assert len(part_of) + len(split.left_out) == 60
    assert any(one.why.startswith("near-identical to a/") for one in split.left_out)


@pytest.mark.parametrize("seed", range(6))
def test_blocks_are_runs_with_a_gap_at_each_border(seed: int) -> None:
    index = sequence_index({"a": list(range(0, 800, 2)), "b": list(range(1, 500))})
    split = make_split(index, "block", seed=seed, embargo=37)
    split.verify(index)
    order = {s.id: s.order or 0 for s in index.samples}
    for label in ("a", "b"):
        numbers = {
            part: [order[m.id] for m in held if m.label == label]
            for part, held in split.parts.items()
        }
        runs = sorted(numbers.values())
        assert all(one[-1] + 37 < other[0] for one, other in pairwise(runs))
        names = ["train", "validation", "test"]
        turn = seed % 3
        in_order = sorted(names, key=lambda part: numbers[part][0])
        assert in_order == names[turn:] + names[:turn]
    held = sum(len(members) for members in split.parts.values())
    assert held + len(split.left_out) == len(index.samples)
    assert {one.why for one in split.left_out} == {"within the embargo of 37 file numbers"}
    assert split.proof.patients_disjoint is None
    assert not split.leaking
    assert "cannot be excluded" in split.why


def test_training_gives_up_the_embargo_where_it_borders_on_held_out_runs() -> None:
    index = sequence_index({"a": list(range(1000)), "b": list(range(1000))})
    split = make_split(index, "block", embargo=50)
    by_part = counts(split)
    assert by_part["train"]["a"] == 550
    assert by_part["validation"]["a"] + by_part["test"]["a"] == 400 - 50


def test_a_class_too_small_for_the_embargo() -> None:
    index = sequence_index({"a": list(range(300)), "b": list(range(40))})
    with pytest.raises(SplitError, match="no image of class b is left for validation") as caught:
        make_split(index, "block")
    assert "embargo below 37" in (caught.value.fix or "")
    assert make_split(index, "block", embargo=3).parts["train"]


def test_random_is_stratified_and_named_as_leaking() -> None:
    split = make_split(PATIENTS, "random", seed=5)
    split.verify(PATIENTS)
    assert split.leaking
    assert "LEAKING" in split.why
    assert split.proof.patients_disjoint is False
    by_part = counts(split)
    assert [by_part[part]["all"] for part in ("train", "validation", "test")] == [48, 16, 16]
    with pytest.raises(SplitError, match="class b has 2 images, fewer than the 3 parts"):
        make_split(sequence_index({"a": [1, 2, 3], "b": [1, 2]}), "random")


@pytest.mark.parametrize(
    "wrong",
    [
        {"fractions": (0.5, 0.5, 0.0)},
        {"fractions": (0.6, 0.3, 0.2)},
        {"seed": -1},
        {"embargo": -1},
    ],
)
def test_senseless_settings(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        make_split(PATIENTS, "patient", **wrong)


def test_unknown_protocol_and_part() -> None:
    with pytest.raises(UnknownNameError, match="did you mean patient"):
        known_protocol("patients")
    with pytest.raises(UnknownNameError, match="known: test, train, validation"):
        make_split(PATIENTS, "patient").samples("tset", PATIENTS)


def test_samples_of_a_part() -> None:
    split = make_split(PATIENTS, "patient")
    test = split.samples("test", PATIENTS)
    assert [one.id for one in test] == [member.id for member in split.parts["test"]]
    assert set(test) <= set(PATIENTS.samples)


def test_real_cnmc(shared_data: Path) -> None:
    index = load_index(shared_data / "cnmc")
    split = make_split(index, "patient")
    split.verify(index)
    # One healthy cell in the preliminary sample: too few to test on.
    assert "not the challenge's own parts" in split.why
    assert all(set(held) == {"all", "hem"} for held in counts(split).values())
    part_of = {m.patient: part for part, held in split.parts.items() for m in held}
    assert part_of["hem:H2"] == part_of["hem:H6"]
    assert part_of["hem:H3"] == part_of["hem:H10"]


def test_real_aria_leaves_enough_to_gate_on(shared_data: Path) -> None:
    index = load_index(shared_data / "aria2021")
    split = make_split(index, "block")
    split.verify(index)
    assert len(split.parts["test"]) >= 400
