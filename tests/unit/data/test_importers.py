from collections.abc import Callable
from pathlib import Path

import pytest

from allnet_edge.data.importers import aria, cnmc, folders
from allnet_edge.errors import DataError

MakeCnmc = Callable[..., Path]

PRELIM = "C-NMC_test_prelim_phase_data"
LABELS = f"{PRELIM}_labels.csv"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("UID_11_2_3_all.bmp", ("all:11", "all")),
        ("UID_H11_2_3_hem.bmp", ("hem:H11", "hem")),
        ("UID_h3_2_1_hem.bmp", ("hem:H3", "hem")),
        ("uid_H3_2_1_HEM.png", ("hem:H3", "hem")),
        ("UID_H3_2_hem.bmp", None),
        ("UID_H3_2_1_hem.bmp.bak", None),
        ("cell.bmp", None),
    ],
)
def test_patient_told_by_a_cnmc_name(name: str, told: tuple[str, str] | None) -> None:
    assert cnmc.patient_of(name) == told


def touch(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("folder", ["", "C-NMC_training_data", "training_data"])
def test_cnmc_is_recognised_from_above_and_from_within(tmp_path: Path, folder: str) -> None:
    touch(tmp_path / folder / "fold_1" / "hem" / "UID_h3_1_1_hem.bmp")
    assert cnmc.recognises(tmp_path)
    (one,) = cnmc.read(tmp_path).found
    assert (one.label, one.patient, one.part, one.problem) == ("hem", "hem:H3", "fold_1", None)


def test_cnmc_names_that_contradict_are_told(tmp_path: Path) -> None:
    touch(tmp_path / "fold_0" / "all" / "UID_H3_1_1_hem.bmp")
    touch(tmp_path / "fold_0" / "all" / "picture.bmp")
    touch(tmp_path / "fold_0" / "all" / ".hidden.bmp")
    wrong, odd = cnmc.read(tmp_path).found
    assert "says hem, but its folder or label file says all" in (wrong.problem or "")
    assert "is not UID_" in (odd.problem or "")


def test_preliminary_set_takes_patient_and_class_from_its_table(tmp_path: Path) -> None:
    for name in ("1.bmp", "2.bmp", "3.bmp", "4.bmp", "5.bmp"):
        touch(tmp_path / PRELIM / name)
    touch(
        tmp_path / LABELS,
        "Patient_ID,new_names,labels\n"
        "UID_57_29_1_all.bmp,1.bmp,1\n"
        "UID_H49_5_2_hem.bmp,2.bmp,0\n"
        "UID_H49_5_3_hem.bmp,3.bmp,1\n"
        "UID_H49_5_4_hem.bmp,4.bmp,2\n"
        "UID_H49_5_9_hem.bmp,9.bmp,0\n",
    )
    listing = cnmc.read(tmp_path)
    first, second, contradicts, unknown, rowless = listing.found
    assert (first.label, first.patient, first.part) == ("all", "all:57", "prelim")
    assert (second.label, second.patient) == ("hem", "hem:H49")
    assert "says hem" in (contradicts.problem or "")
    assert "neither 0 nor 1" in (unknown.problem or "")
    assert "no row" in (rowless.problem or "")
    assert listing.notes == (f"1 rows of {LABELS} have no image file",)


def test_label_table_without_a_column_names_those_it_has(tmp_path: Path) -> None:
    touch(tmp_path / PRELIM / "1.bmp")
    touch(tmp_path / LABELS, "Patient_ID,names,labels\n")
    with pytest.raises(
        DataError, match=r"no column new_names \(found: Patient_ID, names, labels\)"
    ):
        cnmc.read(tmp_path)


def test_absent_and_empty_label_table(tmp_path: Path) -> None:
    touch(tmp_path / PRELIM / "1.bmp")
    with pytest.raises(DataError, match="cannot read the labels"):
        cnmc.read(tmp_path)
    touch(tmp_path / LABELS)
    with pytest.raises(DataError, match="found: none"):
        cnmc.read(tmp_path)


def test_aria_names_tell_class_and_order(tmp_path: Path) -> None:
    touch(tmp_path / "Benign" / "WBC-Benign-007.jpg")
    touch(tmp_path / "Early" / "WBC-Malignant-Early-012.jpg")
    touch(tmp_path / "Early" / "WBC-Malignant-Pro-013.jpg")
    assert aria.recognises(tmp_path)
    benign, early, wrong = aria.read(tmp_path).found
    assert (benign.label, benign.order, benign.patient) == ("Benign", 7, None)
    assert (early.label, early.order) == ("Early", 12)
    assert wrong.problem is not None


def test_aria_needs_its_names(tmp_path: Path) -> None:
    touch(tmp_path / "Benign" / "a.jpg")
    touch(tmp_path / "Early" / "b.jpg")
    assert not aria.recognises(tmp_path)
    assert folders.recognises(tmp_path)


def test_folders_with_and_without_patients(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.png")
    touch(tmp_path / "b" / "1.png")
    assert [one.patient for one in folders.read(tmp_path).found] == [None, None]
    touch(tmp_path / "patients.csv", "path,patient\na/1.png,P1\nb/1.png, \nb/2.png,P2\n")
    listing = folders.read(tmp_path)
    assert [(one.label, one.patient) for one in listing.found] == [("a", "P1"), ("b", None)]
    assert listing.notes == ("1 rows of patients.csv have no image file",)
    touch(tmp_path / "patients.csv", "file,patient\n")
    with pytest.raises(DataError, match=r"no column path \(found: file, patient\)"):
        folders.read(tmp_path)


def test_links_to_folders_and_hidden_folders_are_left_alone(tmp_path: Path) -> None:
    touch(tmp_path / "set" / "a" / "1.png")
    touch(tmp_path / "set" / ".cache" / "2.png")
    touch(tmp_path / "elsewhere" / "3.png")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "elsewhere")
    assert [one.path.name for one in folders.read(tmp_path / "set").found] == ["1.png"]


def test_real_cnmc_merges_lower_and_upper_case_tokens(shared_data: Path) -> None:
    listing = cnmc.read(shared_data / "cnmc")
    folds = [one for one in listing.found if one.part != "prelim"]
    assert len(folds) == 75
    assert {one.label for one in folds} == {"all", "hem"}
    assert all(one.problem is None for one in listing.found)
    assert sum(one.patient == "hem:H3" for one in folds) == 5  # all of them written h3
    assert listing.notes == (f"1,864 rows of {LABELS} have no image file",)
