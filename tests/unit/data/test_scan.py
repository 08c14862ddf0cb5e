import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from allnet_edge.data import images
from allnet_edge.data.scan import load_index, scan
from allnet_edge.errors import DataError, StorageError, UnknownNameError

MakeCnmc = Callable[..., Path]
MakeImage = Callable[..., Image.Image]

CELLS = {
    "fold_0/all/UID_1_1_1_all": 1,
    "fold_1/all/UID_2_1_1_all": 2,
    "fold_0/hem/UID_H1_1_1_hem": 3,
    "fold_1/hem/UID_h2_1_1_hem": 4,
}


def test_index_holds_what_the_files_say(make_cnmc: MakeCnmc) -> None:
    index = load_index(make_cnmc(CELLS))
    assert index.layout == "cnmc"
    assert [sample.id for sample in index.samples] == sorted(f"{name}.bmp" for name in CELLS)
    last = index.samples[-1]
    assert (last.label, last.patient, last.part) == ("hem", "hem:H2", "fold_1")
    assert (last.width, last.height, last.order) == (64, 64, None)
    assert index.path(last).is_file()


@pytest.mark.parametrize("workers", [1, 4])
def test_index_is_the_same_whoever_reads(make_cnmc: MakeCnmc, workers: int) -> None:
    root = make_cnmc(CELLS)
    assert load_index(root, workers=workers) == load_index(root)


def test_damaged_files_are_told_and_left_out(make_cnmc: MakeCnmc) -> None:
    root = make_cnmc(CELLS)
    fold = root / "fold_0" / "all"
    whole = (fold / "UID_1_1_1_all.bmp").read_bytes()
    (fold / "UID_1_1_2_all.bmp").write_bytes(b"")
    (fold / "UID_1_1_3_all.bmp").write_bytes(whole[:5000])
    (fold / "UID_1_1_4_all.bmp").write_text("no image")
    (fold / "UID_1_1_5_all.gif").write_bytes(whole)
    (fold / ".DS_Store").write_text("hidden")
    found = scan(root)
    assert len(found.samples) == 4
    assert found.images == 8
    reasons = {Path(one.path).name: one.why for one in found.unusable}
    assert "zero-byte" in reasons["UID_1_1_2_all.bmp"]
    assert "truncated" in reasons["UID_1_1_3_all.bmp"]
    assert "not an image" in reasons["UID_1_1_4_all.bmp"]
    assert "suffix '.gif'" in reasons["UID_1_1_5_all.gif"]


def test_progress_counts_every_file(make_cnmc: MakeCnmc) -> None:
    told: list[tuple[str, int, int]] = []
    scan(make_cnmc(CELLS), progress=lambda *step: told.append(step))
    assert told == [("reading images", done, 4) for done in (1, 2, 3, 4)]


def test_copies_become_one_and_their_patients_too(make_cnmc: MakeCnmc) -> None:
    copies = {
        "fold_2/all/UID_3_1_1_all": 1,  # patient 3 shares a file with 1
        "fold_2/all/UID_3_1_2_all": 11,
        "fold_2/all/UID_4_1_1_all": 11,  # and 4 with 3
    }
    index = load_index(make_cnmc({**CELLS, **copies}))
    assert [s.id for s in index.samples if s.label == "all"] == [
        "fold_0/all/UID_1_1_1_all.bmp",
        "fold_1/all/UID_2_1_1_all.bmp",
        "fold_2/all/UID_3_1_2_all.bmp",
    ]
    patients = {s.patient for s in index.samples}
    assert patients == {"all:1+all:3+all:4", "all:2", "hem:H1", "hem:H2"}


def test_copies_of_contradicting_labels_are_dropped(make_cnmc: MakeCnmc) -> None:
    index = load_index(make_cnmc({**CELLS, "fold_2/hem/UID_H9_1_1_hem": 1}))
    names = {Path(s.id).name for s in index.samples}
    assert names == {"UID_2_1_1_all.bmp", "UID_H1_1_1_hem.bmp", "UID_h2_1_1_hem.bmp"}


def test_phantom_mark_names_the_layout(make_cnmc: MakeCnmc) -> None:
    root = make_cnmc(CELLS, suffix=".png")
    assert load_index(root).layout == "cnmc"
    (root / "phantom.json").write_text("{}")
    assert load_index(root).layout == "phantom"
    assert load_index(root, "cnmc").layout == "phantom"


def test_identity_of_an_index(make_cnmc: MakeCnmc) -> None:
    one = load_index(make_cnmc(CELLS))
    same_elsewhere = load_index(make_cnmc(CELLS, root="moved"))
    other = load_index(make_cnmc({**CELLS, "fold_0/all/UID_1_1_1_all": 9}, root="other"))
    assert one.sha256 == same_elsewhere.sha256
    assert one.sha256 != other.sha256


def test_cache_spares_unchanged_files_only(
    make_cnmc: MakeCnmc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = make_cnmc(CELLS), tmp_path / "cache"
    (root / "fold_0" / "all" / "UID_1_1_2_all.bmp").write_bytes(b"")
    fresh = scan(root, cache=cache)
    read: list[str] = []
    original = images.read_bytes

    def noting(path: Path) -> bytes:
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(images, "read_bytes", noting)
    again = scan(root, cache=cache)
    assert read == []
    assert (again.samples, again.unusable) == (fresh.samples, fresh.unusable)
    assert (again.thumbnails == fresh.thumbnails).all()
    changed = root / "fold_0" / "hem" / "UID_H1_1_1_hem.bmp"
    stamp = changed.stat().st_mtime_ns
    os.utime(changed, ns=(stamp, stamp + 1))
    scan(root, cache=cache)
    assert read == ["UID_H1_1_1_hem.bmp"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 0}', '{"files": {"a": [1]}}'])
def test_a_damaged_cache_is_as_good_as_none(make_cnmc: MakeCnmc, tmp_path: Path, text: str) -> None:
    root, cache = make_cnmc(CELLS), tmp_path / "cache"
    fresh = load_index(root, cache=cache)
    (kept,) = cache.iterdir()
    kept.write_text(text)
    assert load_index(root, cache=cache) == fresh


def test_a_cache_that_cannot_be_written(make_cnmc: MakeCnmc, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot keep the results"):
        scan(make_cnmc(CELLS), cache=tmp_path / "file")


def test_nothing_and_one_class_only(make_cnmc: MakeCnmc, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images of any known layout"):
        load_index(tmp_path / "empty")
    with pytest.raises(DataError, match="no such folder"):
        load_index(tmp_path / "absent")
    one_class = make_cnmc({k: v for k, v in CELLS.items() if "all" in k}, root="one")
    with pytest.raises(DataError, match="only one class: all"):
        load_index(one_class)
    for path in one_class.rglob("*.bmp"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 2 files is usable; first: .*zero-byte"):
        load_index(one_class)


def test_layout_that_is_unknown_or_does_not_fit(make_cnmc: MakeCnmc) -> None:
    root = make_cnmc(CELLS)
    with pytest.raises(UnknownNameError, match="did you mean cnmc"):
        load_index(root, "cnm")
    with pytest.raises(DataError, match="in the layout 'aria'"):
        load_index(root, "aria")


def test_real_sets(shared_data: Path) -> None:
    cells = load_index(shared_data / "cnmc")
    assert (cells.layout, len(cells.samples), cells.labels) == ("cnmc", 78, ("all", "hem"))
    fields = load_index(shared_data / "aria2021")
    assert (fields.layout, len(fields.samples)) == ("aria", 2401)  # 40 of 2,441 are copies
    assert all(s.order is not None and s.patient is None for s in fields.samples)


def test_real_cell_in_two_folders(shared_data: Path, tmp_path: Path) -> None:
    training = shared_data / "cnmc" / "C-NMC_training_data"
    for fold in ("fold_0", "fold_1"):
        shutil.copytree(training / fold, tmp_path / fold)
    cell = next((tmp_path / "fold_0" / "all").iterdir())
    shutil.copy(cell, tmp_path / "fold_1" / "all" / "UID_99_1_1_all.bmp")
    index = load_index(tmp_path)
    assert len(index.samples) == 30
    assert any(s.patient is not None and "all:99" in s.patient.split("+") for s in index.samples)
