from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from allnet_edge.data.check import DataReport, check
from allnet_edge.errors import DataError

MakeCnmc = Callable[..., Path]
MakeImage = Callable[..., Image.Image]

KEYS = {
    "layout",
    "images",
    "usable",
    "classes",
    "parts",
    "patients",
    "merged_patients",
    "unusable",
    "duplicates",
    "near_duplicates",
    "sizes",
}

CELLS = {
    "fold_0/all/UID_1_1_1_all": 1,
    "fold_1/all/UID_2_1_1_all": 2,
    "fold_1/all/UID_2_1_2_all": 1,  # patients 1 and 2 share a file
    "fold_0/hem/UID_H1_1_1_hem": 3,
    "fold_1/hem/UID_h1_2_1_hem": 4,
}


def has_warning(report: DataReport, text: str) -> bool:
    return any(text in warning for warning in report.warnings)


def test_report_has_the_keys_of_the_contract(make_cnmc: MakeCnmc) -> None:
    root = make_cnmc(CELLS)
    (root / "fold_0" / "hem" / "UID_H1_1_9_hem.bmp").write_bytes(b"")
    plain = check(root).model_dump(mode="json")
    assert set(plain) == KEYS
    assert plain["images"] == 6
    assert plain["usable"] == 5
    assert plain["classes"] == {"all": 3, "hem": 2}
    assert plain["parts"] == {"fold_0": 2, "fold_1": 3}
    assert plain["patients"] == {"all": 1, "hem": 1}
    assert plain["merged_patients"] == [["all:1", "all:2"]]
    assert plain["duplicates"] == [["fold_0/all/UID_1_1_1_all.bmp", "fold_1/all/UID_2_1_2_all.bmp"]]
    assert plain["near_duplicates"] == []
    assert plain["sizes"] == {"64x64": 5}
    (broken,) = plain["unusable"]
    assert broken["path"] == "fold_0/hem/UID_H1_1_9_hem.bmp"
    assert "zero-byte" in broken["why"]


def test_contradicting_labels_are_unusable(make_cnmc: MakeCnmc) -> None:
    report = check(make_cnmc({**CELLS, "fold_2/hem/UID_H7_1_1_hem": 2}))
    assert report.images == 6
    assert report.usable == 4
    why = {one.path: one.why for one in report.unusable}
    assert "labelled hem and this all" in why["fold_1/all/UID_2_1_1_all.bmp"]
    assert "labelled all and this hem" in why["fold_2/hem/UID_H7_1_1_hem.bmp"]
    assert report.usable_for_training


def test_near_copies_under_other_names_are_told(make_cnmc: MakeCnmc, texture: MakeImage) -> None:
    root = make_cnmc(CELLS)
    cell = texture(4)
    cell.putpixel((0, 0), (255, 255, 255))
    cell.save(root / "fold_1" / "hem" / "UID_H8_1_1_hem.bmp")
    report = check(root)
    assert report.near_duplicates == (
        ("fold_1/hem/UID_H8_1_1_hem.bmp", "fold_1/hem/UID_h1_2_1_hem.bmp"),
    )
    assert has_warning(report, "different patients, first: hem:H1 and hem:H8")
    assert report.merged_patients == (("all:1", "all:2"),)  # only shared files merge


def test_one_class_and_nothing_are_not_usable(make_cnmc: MakeCnmc) -> None:
    root = make_cnmc({name: seed for name, seed in CELLS.items() if "hem" in name})
    report = check(root)
    assert report.problems == ("only one class has usable images: hem",)
    for path in root.rglob("*.bmp"):
        path.write_bytes(b"")
    report = check(root)
    assert report.problems == ("no file is usable",)
    assert not report.usable_for_training
    assert (report.images, report.usable, report.patients) == (2, 0, {})


def test_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images of any known layout"):
        check(tmp_path)


def test_sizes_unlike_the_others_are_told(tmp_path: Path, texture: MakeImage) -> None:
    for seed in range(42):
        folder = tmp_path / ("a" if seed % 2 else "b")
        folder.mkdir(exist_ok=True)
        texture(seed, 40 if seed == 7 else 64).save(folder / f"{seed}.png")
    report = check(tmp_path)
    assert has_warning(report, "1 images are not 64x64 like the others, first: a/7.png (40x40)")
    assert has_warning(report, "the patient of 42 images is unknown")
    assert report.sizes == {"64x64": 41, "40x40": 1}
    texture(50, 48).save(tmp_path / "a" / "50.png")
    texture(51, 48).save(tmp_path / "a" / "51.png")
    assert has_warning(check(tmp_path), "images come in 3 sizes, most often 64x64 (41)")


def test_real_cnmc(shared_data: Path) -> None:
    report = check(shared_data / "cnmc")
    assert report.layout == "cnmc"
    assert sum(report.parts[f"fold_{number}"] for number in range(3)) == 75
    assert (report.images, report.usable) == (78, 78)
    assert report.classes == {"all": 39, "hem": 39}
    assert report.patients == {"all": 14, "hem": 12}
    assert report.sizes == {"450x450": 78}
    # The published folds hold the same cells under two patients, differing in a few pixels.
    assert len(report.near_duplicates) == 3
    assert has_warning(report, "hem:H2 and hem:H6")
    assert has_warning(report, "1,864 rows of C-NMC_test_prelim_phase_data_labels.csv")


def test_real_aria(shared_data: Path) -> None:
    report = check(shared_data / "aria2021")
    assert report.layout == "aria"
    assert report.classes == {"Benign": 378, "Early": 738, "Pre": 722, "Pro": 603}
    assert len(report.duplicates) == 40
    assert all(name.startswith("Pro/") for group in report.duplicates for name in group)
    assert report.patients == {}
