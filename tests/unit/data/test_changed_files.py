"""Files that change behind an index, a split or the cache of a scan."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from allnet_edge.data import images
from allnet_edge.data.choose import choose_split
from allnet_edge.data.scan import load_index
from allnet_edge.data.split import make_split, save_split
from allnet_edge.errors import SplitError

MakeCnmc = Callable[..., Path]
MakeImage = Callable[..., Image.Image]

PRELIM = "C-NMC_test_prelim_phase_data"
CELLS = {
    f"fold_{person % 3}/{label}/UID_{mark}{person}_1_{cell}_{label}": 10 * person + cell + shift
    for label, mark, shift in (("all", "", 0), ("hem", "H", 1000))
    for person in range(1, 7)
    for cell in range(1, 3)
} | {f"{PRELIM}/{number}": 3000 + number for number in range(1, 5)}


@pytest.fixture
def root(make_cnmc: MakeCnmc) -> Path:
    folder = make_cnmc(CELLS)
    label(folder, {1: "all", 2: "all", 3: "hem", 4: "hem"})
    return folder


@pytest.fixture
def split_file(root: Path, tmp_path: Path) -> Path:
    save_split(make_split(load_index(root), "patient"), tmp_path / "split.json")
    return tmp_path / "split.json"


def label(root: Path, labels: dict[int, str]) -> None:
    rows = [
        f"UID_{'H' if kind == 'hem' else ''}9{n}_1_1_{kind}.bmp,{n}.bmp,{int(kind == 'all')}"
        for n, kind in labels.items()
    ]
    table = root / f"{PRELIM}_labels.csv"
    table.write_text("\n".join(["Patient_ID,new_names,labels", *rows]))


def overwrite(path: Path, picture: Image.Image) -> None:
    """Other bytes of the same size under the old name and the old date."""
    before = path.stat()
    time.sleep(0.02)  # longer than a tick of the kernel's clock, which dates the change
    picture.save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("with_cache", [False, True])
def test_other_bytes_under_the_old_name_size_and_date(
    root: Path, split_file: Path, tmp_path: Path, texture: MakeImage, *, with_cache: bool
) -> None:
    cache = tmp_path / "cache" if with_cache else None
    choose_split(load_index(root, cache=cache), split_file)
    overwrite(root / "fold_1" / "all" / "UID_1_1_1_all.bmp", texture(5000))
    with pytest.raises(SplitError, match="1 image files changed since the split") as caught:
        choose_split(load_index(root, cache=cache), split_file)
    assert "fold_1/all/UID_1_1_1_all.bmp" in caught.value.what
    assert caught.value.exit_code == 9


def test_another_file_moved_over_an_old_one_is_seen_by_the_cache(
    root: Path, split_file: Path, tmp_path: Path, texture: MakeImage
) -> None:
    cache, cell = tmp_path / "cache", root / "fold_1" / "all" / "UID_1_1_1_all.bmp"
    load_index(root, cache=cache)
    other = tmp_path / "other.bmp"
    texture(5000).save(other)
    stamp = cell.stat().st_mtime_ns
    os.utime(other, ns=(stamp, stamp))
    time.sleep(0.02)
    other.replace(cell)
    with pytest.raises(SplitError, match="1 image files changed"):
        choose_split(load_index(root, cache=cache), split_file)


def test_the_cache_still_spares_what_did_not_change(
    root: Path, tmp_path: Path, texture: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, read = tmp_path / "cache", []
    load_index(root, cache=cache)
    overwrite(root / "fold_1" / "all" / "UID_1_1_1_all.bmp", texture(5000))
    original = images.read_bytes

    def noting(path: Path) -> bytes:
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(images, "read_bytes", noting)
    assert load_index(root, cache=cache) == load_index(root, cache=cache)
    assert read == ["UID_1_1_1_all.bmp"]


def test_a_truncated_file_and_one_that_went(root: Path, split_file: Path) -> None:
    (root / "fold_2" / "hem" / "UID_H2_1_1_hem.bmp").write_bytes(b"")
    with pytest.raises(SplitError, match="1 images of the split are not in the data set") as it:
        choose_split(load_index(root), split_file)
    assert "may have become unusable" in (it.value.fix or "")
    (root / "fold_2" / "hem" / "UID_H2_1_2_hem.bmp").unlink()
    with pytest.raises(SplitError, match="2 images of the split are not in the data set"):
        choose_split(load_index(root), split_file)


def test_an_image_that_its_table_labels_otherwise_now(root: Path, split_file: Path) -> None:
    label(root, {1: "all", 2: "hem", 3: "hem", 4: "hem"})
    with pytest.raises(SplitError, match="1 images have another class than in the split") as it:
        choose_split(load_index(root), split_file)
    assert f"{PRELIM}/2.bmp (all, now hem)" in it.value.what


def test_an_image_that_was_moved_to_the_folder_of_another_class(
    root: Path, split_file: Path
) -> None:
    old = root / "fold_2" / "hem" / "UID_H2_1_1_hem.bmp"
    old.rename(root / "fold_2" / "all" / "UID_2_1_9_all.bmp")
    with pytest.raises(SplitError, match=r"UID_H2_1_1_hem.bmp \(hem, now all\)"):
        choose_split(load_index(root), split_file)


def test_the_folder_above_the_one_that_was_split(
    root: Path, split_file: Path, tmp_path: Path
) -> None:
    above = tmp_path / "above"
    above.mkdir()
    for fold in ("fold_0", "fold_1", "fold_2"):
        shutil.move(root / fold, above / "C-NMC_training_data" / fold)
    shutil.move(root / PRELIM, above / PRELIM)
    shutil.move(root / f"{PRELIM}_labels.csv", above)
    with pytest.raises(SplitError, match="24 images of the split are not in the data set") as it:
        choose_split(load_index(above), split_file)
    assert "name the folder that was split" in (it.value.fix or "")


def test_a_split_of_another_data_set(split_file: Path, make_cnmc: MakeCnmc) -> None:
    """Named alike, as the cells of two institutes may be: told by their bytes."""
    other = make_cnmc({name: seed + 7000 for name, seed in CELLS.items()}, root="other")
    label(other, {1: "all", 2: "all", 3: "hem", 4: "hem"})
    with pytest.raises(SplitError, match="belongs to another data set") as caught:
        choose_split(load_index(other), split_file)
    assert caught.value.where == str(other)
