import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from allnet_edge.data.samples import Sample, SampleIndex
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import Split, known_protocol, load_split, make_split, save_split
from allnet_edge.errors import OutputDirError, SplitError, UnknownNameError, UsageError

MakeCnmc = Callable[..., Path]


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


def counts(split: Split) -> dict[str, Counter[str]]:
    return {part: Counter(m.label for m in held) for part, held in split.parts.items()}


def tampered(split: Split, change: Callable[[dict[str, list[dict[str, object]]]], None]) -> Split:
    plain = split.model_dump(mode="json")
    change(plain["parts"])
    return Split.model_validate(plain)


PATIENTS = patients_index({"all": [30, 20, 10, 10, 5, 5], "hem": [12, 8, 6, 4]})


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


def cnmc_index(prelim: int) -> SampleIndex:
    cells = [
        sample(
            f"fold_{fold}/{label}/{label}{person}_{n}", label, f"{label}:{person}", f"fold_{fold}"
        )
        for label in ("all", "hem")
        for person in range(9)
        for fold in [person % 3]
        for n in range(4)
    ]
    cells += [
        sample(f"prelim/{label}{n}", label, f"{label}:9{n}", "prelim")
        for label in ("all", "hem")
        for n in range(prelim)
    ]
    return index_of(cells, layout="cnmc")


def test_official_parts_of_cnmc_where_all_are_there() -> None:
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


def test_official_parts_leave_out_whom_two_of_them_share() -> None:
    index = cnmc_index(prelim=2)
    linked = replace(index, near_copies=(("fold_0/all/all0_0", "fold_2/all/all2_0"),))
    split = make_split(linked, "patient")
    split.verify(linked)
    assert {one.id for one in split.left_out} == {f"fold_0/all/all0_{n}" for n in range(4)}
    assert {one.why for one in split.left_out} == {"patient all:0 also stands in validation"}


def test_too_small_a_preliminary_set_means_patients_are_dealt() -> None:
    split = make_split(cnmc_index(prelim=1), "patient")
    assert "20 patients, dealt whole" in split.why
    assert "not the challenge's own parts" in split.why


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


def test_a_file_of_a_split_reads_back(tmp_path: Path) -> None:
    split = make_split(PATIENTS, "patient")
    path = tmp_path / "split.json"
    save_split(split, path)
    assert load_split(path) == split
    save_split(make_split(PATIENTS, "random"), path)  # a split may replace a split
    first = path.read_bytes()
    save_split(make_split(PATIENTS, "random"), path)
    assert path.read_bytes() == first


def test_a_split_replaces_nothing_else(tmp_path: Path) -> None:
    split = make_split(PATIENTS, "patient")
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    for path in (precious, tmp_path, tmp_path / "absent" / "split.json"):
        with pytest.raises(OutputDirError):
            save_split(split, path)
    assert precious.read_text() == "years of work"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a split"),
        ("{}", "not a split: protocol"),
        ('{"schema_version": 2}', "not a split: schema_version"),
    ],
)
def test_what_is_no_split(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(SplitError, match=reason):
        load_split(path)
    with pytest.raises(SplitError, match="cannot read the split"):
        load_split(tmp_path / "absent.json")


def test_unknown_keys_of_a_split_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    save_split(make_split(PATIENTS, "patient"), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "sede": 1}))
    with pytest.raises(SplitError, match="not a split: sede"):
        load_split(path)


def test_verify_finds_the_same_image_on_both_sides() -> None:
    split = make_split(PATIENTS, "random")
    both = tampered(split, lambda parts: parts["test"].append(parts["train"][0]))
    with pytest.raises(SplitError, match="1 images stand in two parts") as caught:
        both.verify(PATIENTS)
    assert f"{split.parts['train'][0].id} (train)" in caught.value.what
    assert f"{split.parts['train'][0].id} (test)" in caught.value.what


def test_verify_finds_the_same_patient_on_both_sides() -> None:
    split = make_split(PATIENTS, "patient")
    moved = tampered(split, lambda parts: parts["test"].append(parts["train"].pop()))
    with pytest.raises(SplitError, match="1 patients stand in two parts"):
        moved.verify(PATIENTS)


def test_verify_believes_the_index_about_patients() -> None:
    """Patients that were found to be the same person after the split was made."""
    split = make_split(PATIENTS, "patient")
    one, other = split.parts["train"][0].patient, split.parts["test"][0].patient
    merged = tuple(
        replace(s, patient="merged") if s.patient in (one, other) else s for s in PATIENTS.samples
    )
    with pytest.raises(SplitError, match=r"merged \(train and test\)"):
        split.verify(replace(PATIENTS, samples=merged))


def test_verify_finds_absent_changed_and_relabelled_files() -> None:
    split = make_split(PATIENTS, "patient")
    first, *rest = PATIENTS.samples
    with pytest.raises(SplitError, match=f"1 images of the split are not in .*{first.id}"):
        split.verify(replace(PATIENTS, samples=tuple(rest)))
    changed = replace(first, sha256="another")
    with pytest.raises(SplitError, match=f"1 image files changed .*{first.id}"):
        split.verify(replace(PATIENTS, samples=(changed, *rest)))
    relabelled = replace(first, label="hem")
    with pytest.raises(SplitError, match=f"another class than in the split: {first.id}"):
        split.verify(replace(PATIENTS, samples=(relabelled, *rest)))


def test_verify_knows_another_data_set() -> None:
    other = patients_index({"x": [4, 4, 4], "y": [4, 4, 4]})
    with pytest.raises(SplitError, match="belongs to another data set"):
        make_split(PATIENTS, "patient").verify(other)


def test_images_added_later_do_no_harm() -> None:
    split = make_split(PATIENTS, "patient")
    more = (*PATIENTS.samples, sample("zzz.png", "hem", "hem:99"))
    split.verify(replace(PATIENTS, samples=more))


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
