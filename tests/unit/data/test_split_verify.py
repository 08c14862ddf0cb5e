"""What `Split.verify` and `require_classes` refuse, and what they say."""

from dataclasses import replace
from pathlib import Path

import pytest
from split_support import PATIENTS, index_of, patients_index, sample, sequence_index, tampered

from allnet_edge.data.samples import LabelMap
from allnet_edge.data.split import Split, make_split, require_classes
from allnet_edge.errors import SplitError


@pytest.mark.parametrize("protocol", ["patient", "random", "paper"])
def test_the_same_image_on_both_sides(protocol: str) -> None:
    split = make_split(PATIENTS, protocol)
    both = tampered(split, lambda parts: parts["test"].append(parts["train"][0]))
    with pytest.raises(SplitError, match="1 images stand in two parts") as caught:
        both.verify(PATIENTS)
    assert f"{split.parts['train'][0].id} (train)" in caught.value.what
    assert f"{split.parts['train'][0].id} (test)" in caught.value.what


def test_the_same_patient_on_both_sides() -> None:
    split = make_split(PATIENTS, "patient")
    moved = tampered(split, lambda parts: parts["test"].append(parts["train"].pop()))
    with pytest.raises(SplitError, match=r"1 patients stand in two parts: hem:\d \(train and test"):
        moved.verify(PATIENTS)


def test_a_patient_renamed_in_the_file_stays_the_same_person() -> None:
    def hide(parts: dict[str, list[dict[str, object]]]) -> None:
        parts["test"].append({**parts["train"].pop(), "patient": "hem:new"})

    with pytest.raises(SplitError, match="patients stand in two parts"):
        tampered(make_split(PATIENTS, "patient"), hide).verify(PATIENTS)


def test_the_index_is_believed_about_patients() -> None:
    """Patients that were found to be the same person after the split was made."""
    split = make_split(PATIENTS, "patient")
    one, other = split.parts["train"][0].patient, split.parts["test"][0].patient
    merged = tuple(
        replace(s, patient="merged") if s.patient in (one, other) else s for s in PATIENTS.samples
    )
    with pytest.raises(SplitError, match=r"merged \(train and test\)"):
        split.verify(replace(PATIENTS, samples=merged))


def test_patients_with_near_identical_images_are_one() -> None:
    split = make_split(PATIENTS, "patient")
    one, other = split.parts["train"][0], split.parts["test"][0]
    linked = replace(PATIENTS, near_copies=((one.id, other.id),))
    both = r"\+".join(sorted((str(one.patient), str(other.patient))))
    with pytest.raises(SplitError, match=rf"{both} \(train and test\)"):
        split.verify(linked)


def test_near_identical_images_of_unknown_patients() -> None:
    fields = sequence_index({"a": list(range(300)), "b": list(range(300))})
    split = make_split(fields, "block")
    one, other = split.parts["train"][0].id, split.parts["test"][0].id
    linked = replace(fields, near_copies=((one, other),))
    with pytest.raises(SplitError, match="near-identical images stand in two parts") as caught:
        split.verify(linked)
    assert f"{one} (train)" in caught.value.what
    make_split(fields, "random").verify(linked)  # named as leaking


def test_a_leaking_split_that_says_it_is_clean() -> None:
    for protocol in ("random", "paper"):
        plain = make_split(PATIENTS, protocol).model_dump()
        with pytest.raises(SplitError, match=f"this '{protocol}' split does not leak: it does"):
            Split.model_validate({**plain, "leaking": False}).verify(PATIENTS)


def test_a_leaking_split_that_calls_itself_by_patient() -> None:
    plain = make_split(PATIENTS, "random").model_dump()
    renamed = Split.model_validate({**plain, "leaking": False, "protocol": "patient"})
    with pytest.raises(SplitError, match="patients stand in two parts"):
        renamed.verify(PATIENTS)


def test_an_image_twice_in_one_part() -> None:
    split = make_split(PATIENTS, "patient")
    twice = tampered(split, lambda parts: parts["test"].append(parts["test"][0]))
    with pytest.raises(SplitError, match="1 images stand twice in test") as caught:
        twice.verify(PATIENTS)
    assert split.parts["test"][0].id in caught.value.what
    assert caught.value.exit_code == 9


def test_an_image_that_was_left_out_and_is_back() -> None:
    fields = sequence_index({"a": list(range(300)), "b": list(range(300))})
    split = make_split(fields, "block")
    banned = split.left_out[0].id
    image = next(one for one in fields.samples if one.id == banned)
    row = {"id": banned, "sha256": image.sha256, "label": image.label, "patient": None}
    back = tampered(split, lambda parts: parts["train"].append(row))
    with pytest.raises(SplitError, match=f"in train and among those left out: {banned}"):
        back.verify(fields)


def test_absent_changed_and_relabelled_files() -> None:
    split = make_split(PATIENTS, "patient")
    first, *rest = PATIENTS.samples
    with pytest.raises(SplitError, match=f"1 images of the split are not in .*{first.id}"):
        split.verify(replace(PATIENTS, samples=tuple(rest)))
    changed = replace(first, sha256="another")
    with pytest.raises(SplitError, match=f"1 image files changed .*{first.id}"):
        split.verify(replace(PATIENTS, samples=(changed, *rest)))
    relabelled = replace(first, label="hem")
    with pytest.raises(SplitError, match=rf"another class .*{first.id} \(all, now hem\)"):
        split.verify(replace(PATIENTS, samples=(relabelled, *rest)))


def test_an_image_moved_to_another_class_or_another_name() -> None:
    split = make_split(PATIENTS, "patient")
    first, *rest = PATIENTS.samples
    moved = replace(first, id="hem/moved.png", label="hem")
    with pytest.raises(SplitError, match=r"have another class .*\(all, now hem\)"):
        split.verify(replace(PATIENTS, samples=(*rest, moved)))
    renamed = replace(first, id="all/renamed.png")
    with pytest.raises(SplitError, match=rf"{first.id} \(now all/renamed.png\)"):
        split.verify(replace(PATIENTS, samples=(*rest, renamed)))


def test_the_right_images_under_another_root() -> None:
    split = make_split(PATIENTS, "patient")
    deeper = replace(
        PATIENTS, samples=tuple(replace(s, id=f"training/{s.id}") for s in PATIENTS.samples)
    )
    with pytest.raises(SplitError, match="110 images of the split are not in") as caught:
        split.verify(deeper)
    assert "now training/all/0_0.png" in caught.value.what
    assert "name the folder that was split" in (caught.value.fix or "")


def test_another_data_set_also_under_the_same_names() -> None:
    split = make_split(PATIENTS, "patient")
    other = patients_index({"x": [4, 4, 4], "y": [4, 4, 4]})
    with pytest.raises(SplitError, match="belongs to another data set"):
        split.verify(other)
    same_names = tuple(replace(s, sha256=f"other {s.id}") for s in PATIENTS.samples)
    with pytest.raises(SplitError, match="belongs to another data set") as caught:
        split.verify(replace(PATIENTS, root=Path("other"), samples=same_names))
    assert (caught.value.where, caught.value.exit_code) == ("other", 9)


def test_images_added_later_do_no_harm() -> None:
    split = make_split(PATIENTS, "patient")
    more = (*PATIENTS.samples, sample("zzz.png", "hem", "hem:99"))
    split.verify(replace(PATIENTS, samples=more))


def test_every_part_needs_every_class() -> None:
    split = make_split(PATIENTS, "patient")
    labels = LabelMap.binary(PATIENTS.labels, ["all"])
    require_classes(split, labels)

    def drop(parts: dict[str, list[dict[str, object]]]) -> None:
        parts["validation"] = [row for row in parts["validation"] if row["label"] != "hem"]

    one_sided = tampered(split, drop)
    one_sided.verify(PATIENTS)  # clean, but no network can be judged on it
    with pytest.raises(SplitError, match="validation holds no image of class hem") as caught:
        require_classes(one_sided, labels)
    assert caught.value.exit_code == 9
    require_classes(one_sided, labels, ("train", "test"))


def test_the_classes_are_those_of_the_network() -> None:
    index = index_of(
        [sample(f"{k}/{n}.png", k, order=n) for k in ("Benign", "Early", "Pre") for n in range(300)]
    )
    split = make_split(index, "block")

    def drop(parts: dict[str, list[dict[str, object]]]) -> None:
        parts["test"] = [row for row in parts["test"] if row["label"] != "Pre"]

    without = tampered(split, drop)
    require_classes(without, LabelMap.binary(index.labels, ["Early", "Pre"]))
    with pytest.raises(SplitError, match="test holds no image of class Pre"):
        require_classes(without, LabelMap.multiclass(index.labels))
    with pytest.raises(SplitError, match="train holds images of class Pre, which the network"):
        require_classes(split, LabelMap.multiclass(["Benign", "Early"]))
