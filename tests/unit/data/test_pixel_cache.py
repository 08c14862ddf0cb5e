"""Decoded pixels on disk: whole or absent, never of other files or settings, for many processes."""

import dataclasses
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest
from pixel_support import PREPROCESS, decoders, eventually, files_of, is_decoder

from allnet_edge.data import pixel_cache
from allnet_edge.data.decode_threads import DecodedByThreads
from allnet_edge.data.images import load_batch
from allnet_edge.data.open_pixels import open_pixels
from allnet_edge.data.pixel_cache import Entry, PixelCache
from allnet_edge.data.pixel_cache_fill import cached
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.errors import EnvironmentMismatch, ImageError, IntegrityError, StorageError
from allnet_edge.progress import silent
from allnet_edge.spec.network import Preprocess

COUNT = 12
# Fills, or finds, the cache in argv[1] for the files that follow; says what it did.
FILLS = """
import hashlib, os, sys
from pathlib import Path
import numpy as np
from allnet_edge.data.open_pixels import open_pixels
from allnet_edge.data.pixels import ImageFiles
from allnet_edge.spec.network import Preprocess

cache, workers, *paths = sys.argv[1:]
paths = [Path(path) for path in paths]
hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
files = ImageFiles(paths, Preprocess(size=32), hashes)
tell = lambda what, done, total: print(what, done, flush=True)
print("ready", flush=True)
sys.stdin.readline()
with open_pixels(files, workers=int(workers), cache=Path(cache), progress=tell) as source:
    rows = source.rows(np.arange(len(paths)))
print("sum", int(rows.astype(np.int64).sum()), flush=True)
"""


@pytest.fixture
def paths(tmp_path, texture):
    folder = tmp_path / "images"
    folder.mkdir()
    names = [folder / f"{number:02}.png" for number in range(COUNT)]
    for number, path in enumerate(names):
        texture(number, 40).save(path)
    return names


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def entry(paths, folder):
    return Entry.of(folder, files_of(paths))


@pytest.fixture
def filled(entry, paths):
    """The entry, with its pixels on disk."""
    with cached(entry, lambda: DecodedByThreads(files_of(paths))):
        return entry


def never() -> DecodedByThreads:
    raise AssertionError("no image should be decoded")


def test_the_first_time_decodes_and_later_ones_read_no_image(paths, folder):
    files, expected = files_of(paths), load_batch(paths, PREPROCESS)
    told = []
    with open_pixels(files, cache=folder, progress=lambda *args: told.append(args)) as source:
        np.testing.assert_array_equal(source.rows(np.arange(COUNT)), expected)
    assert told[-1] == ("decoding into the cache", COUNT, COUNT)
    for path in paths:
        path.unlink()
    told.clear()
    with open_pixels(files, cache=folder, progress=lambda *args: told.append(args)) as source:
        np.testing.assert_array_equal(source.rows(np.arange(COUNT)[::-1]), expected[::-1])
    assert not told


def test_other_programs_can_read_it(filled, paths):
    """It is a plain .npy file with its description beside it."""
    pixels = np.load(filled.pixels)
    np.testing.assert_array_equal(pixels, load_batch(paths, PREPROCESS))
    told = json.loads(filled.description.read_text())
    assert (told["key"], told["shape"]) == (filled.key, [COUNT, 32, 32, 3])
    assert {path.name for path in filled.folder.iterdir()} == {
        filled.pixels.name,
        filled.description.name,
    }


def test_no_files_make_no_entry(folder):
    with open_pixels(ImageFiles([], PREPROCESS, []), cache=folder) as source:
        assert len(source) == 0
    assert not folder.exists()


def test_files_of_unknown_hash_cannot_be_kept(paths, folder):
    with pytest.raises(ValueError, match="sha256 of each file"):
        open_pixels(ImageFiles(paths, PREPROCESS), cache=folder)


class TestKey:
    def key(self, folder: Path, files: ImageFiles, **changes: object) -> str:
        preprocess = files.preprocess.model_copy(update=changes.pop("preprocess", {}))
        return Entry.of(folder, dataclasses.replace(files, preprocess=preprocess, **changes)).key

    def test_it_does_not_depend_on_where_the_files_lie(self, entry, paths, folder, tmp_path):
        moved = shutil.copytree(paths[0].parent, tmp_path / "elsewhere")
        assert self.key(folder, files_of(sorted(moved.iterdir()))) == entry.key

    def test_nor_on_mean_and_sd_which_are_applied_later(self, entry, paths, folder):
        update = {"mean": (1.0, 2.0, 3.0), "sd": (4.0, 5.0, 6.0)}
        assert self.key(folder, files_of(paths), preprocess=update) == entry.key

    @pytest.mark.parametrize("update", [{"size": 33}, {"crop": 36}])
    def test_but_on_the_preprocessing(self, entry, paths, folder, update):
        assert self.key(folder, files_of(paths), preprocess=update) != entry.key

    def test_on_every_file_and_their_order(self, entry, paths, folder):
        files = files_of(paths)
        known = [*files.sha256]
        for changed in (known[::-1], [*known[:-1], "0" * 64]):
            assert self.key(folder, files, sha256=changed) != entry.key
        assert self.key(folder, files, paths=paths[:-1], sha256=known[:-1]) != entry.key

    def test_and_on_how_is_decoded(self, entry, paths, folder, monkeypatch):
        monkeypatch.setattr(pixel_cache, "DECODE_VERSION", 2)
        other = self.key(folder, files_of(paths))
        monkeypatch.setattr(PIL, "__version__", "0.0")
        assert len({entry.key, other, self.key(folder, files_of(paths))}) == 3


def truncate(entry: Entry) -> None:
    os.truncate(entry.pixels, entry.pixels.stat().st_size - 1)


def lengthen(entry: Entry) -> None:
    with entry.pixels.open("ab") as stream:
        stream.write(b"0")


def empty(entry: Entry) -> None:
    os.truncate(entry.pixels, 0)


def remove(entry: Entry) -> None:
    entry.pixels.unlink()


def other_shape(entry: Entry) -> None:
    np.save(entry.pixels, np.zeros((COUNT, 32, 32, 4), np.uint8))


def other_type(entry: Entry) -> None:
    np.save(entry.pixels, np.zeros((COUNT, 32, 32, 3), np.int8))


def pickled(entry: Entry) -> None:
    np.save(entry.pixels, np.array([{}], object), allow_pickle=True)


def archive(entry: Entry) -> None:
    with entry.pixels.open("wb") as stream:
        np.savez(stream, pixels=np.zeros(3))


def one_bit(entry: Entry) -> None:
    with entry.pixels.open("r+b") as stream:
        stream.seek(-1 - 5 * 32 * 32 * 3, os.SEEK_END)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 4]))


def no_json(entry: Entry) -> None:
    entry.description.write_bytes(b"\xff{")


def not_an_object(entry: Entry) -> None:
    entry.description.write_text("[]")


def another_key(entry: Entry) -> None:
    told = json.loads(entry.description.read_text())
    entry.description.write_text(json.dumps(told | {"key": "0" * 64}))


def too_few_checksums(entry: Entry) -> None:
    told = json.loads(entry.description.read_text())
    entry.description.write_text(json.dumps(told | {"crc32": told["crc32"][:-1]}))


DAMAGES = [
    truncate, lengthen, empty, remove, other_shape, other_type, pickled, archive, one_bit,
    no_json, not_an_object, another_key, too_few_checksums,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_refused_and_made_again(filled, paths, damage):
    damage(filled)
    with pytest.raises(IntegrityError) as caught:
        PixelCache(filled)
    assert Path(str(caught.value.where)).parent == filled.folder
    told = []
    with cached(
        filled, lambda: DecodedByThreads(files_of(paths)), lambda *args: told.append(args)
    ) as source:
        np.testing.assert_array_equal(source.rows(np.arange(COUNT)), load_batch(paths, PREPROCESS))
    assert told[0][0].startswith("decoding again: ")
    with cached(filled, never):
        pass


def test_checksums_are_sampled_over_all_of_a_large_entry(tmp_path, texture, folder, monkeypatch):
    monkeypatch.setattr(pixel_cache, "_ROWS_CHECKED", 3)
    path = tmp_path / "one.png"
    texture(1, 32).save(path)
    entry = Entry.of(folder, files_of([path] * 5))
    with cached(entry, lambda: DecodedByThreads(files_of([path] * 5))):
        pass
    for row, noticed in ((0, True), (1, False), (2, True), (4, True)):
        pixels = np.load(entry.pixels, mmap_mode="r+")
        pixels[row] ^= 1
        if noticed:
            with pytest.raises(IntegrityError, match=f"row {row} of the cached"):
                PixelCache(entry)
        else:
            PixelCache(entry).close()
        pixels[row] ^= 1
        pixels.flush()


class TestInterrupted:
    def test_ctrl_c_leaves_nothing(self, entry, paths):
        def interrupt(what: str, done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cached(entry, lambda: DecodedByThreads(files_of(paths)), interrupt)
        assert not list(entry.folder.iterdir())

    def test_a_bad_image_leaves_nothing(self, entry, paths):
        files = files_of(paths)
        paths[7].write_bytes(b"none")
        with pytest.raises(IntegrityError) as changed:
            cached(entry, lambda: DecodedByThreads(files))
        assert changed.value.where == str(paths[7])
        with pytest.raises(ImageError) as damaged:
            cached(entry, lambda: DecodedByThreads(ImageFiles(paths, PREPROCESS)))
        assert damaged.value.where == str(paths[7])
        assert not list(entry.folder.iterdir())

    @pytest.mark.parametrize("workers", ["0", "2"])
    def test_a_killed_process_leaves_nothing_that_counts(self, paths, folder, workers):
        many = paths * 200
        process = started(folder, workers, many)
        process.stdin.write("go\n")
        process.stdin.flush()
        while not process.stdout.readline().startswith("decoding into the cache"):
            pass
        process.kill()
        process.communicate()
        entry = Entry.of(folder, files_of(many))
        assert [path.name for path in folder.iterdir()] == [f"{entry.pixels.name}.part"]
        with cached(entry, lambda: DecodedByThreads(files_of(many))) as source:
            np.testing.assert_array_equal(
                source.rows(np.arange(COUNT)), load_batch(paths, PREPROCESS)
            )
        assert len(list(folder.iterdir())) == 2

    def test_what_others_left_is_removed_unless_they_still_write(self, entry, paths):
        entry.folder.mkdir()
        left, busy = (entry.folder / f"pixels-{name}.npy.part" for name in ("left", "busy"))
        left.write_bytes(b"0" * 1000)
        busy.write_bytes(b"0" * 1000)
        mine = entry.folder / "pixels-notes.txt"
        mine.write_text("keep")
        with busy.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            cached(entry, lambda: DecodedByThreads(files_of(paths))).close()
        assert set(entry.folder.iterdir()) == {busy, mine, entry.pixels, entry.description}


class TestDisk:
    def test_too_little_space_is_told_before_anything_is_decoded(self, entry, monkeypatch):
        usage = shutil.disk_usage(entry.folder.parent)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=entry.nbytes - 1))
        with pytest.raises(StorageError, match=r"need 0\.00 GB, 0\.00 GB are free") as caught:
            cached(entry, never)
        assert caught.value.exit_code == 3
        assert "--cache" in (caught.value.fix or "")
        assert not list(entry.folder.iterdir())

    def test_the_needed_size_is_that_of_the_pixels(self, entry, monkeypatch):
        large = dataclasses.replace(entry, rows=100_000, size=250)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 10**9))
        with pytest.raises(StorageError, match=r"need 18\.75 GB, 1\.00 GB are free"):
            cached(large, never)

    def test_a_disk_that_is_full_all_the_same(self, paths, folder):
        """A limit on the size of files stands in for it: the system refuses in the same place."""
        limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        process = started(folder, "0", paths, before=limited)
        said = process.communicate("go\n", timeout=60)[1]
        assert "StorageError: cannot keep decoded pixels: File too large" in said
        assert not list(folder.iterdir())

    def test_a_folder_that_cannot_be_made(self, entry):
        nowhere = dataclasses.replace(entry, folder=Path("/proc/cache"))
        with pytest.raises(StorageError, match="cannot keep decoded pixels: No such file"):
            cached(nowhere, never)

    def test_a_folder_that_is_a_file(self, entry):
        entry.folder.write_text("no folder")
        with pytest.raises(StorageError, match="cannot keep decoded pixels"):
            cached(entry, never)


def started(
    folder: Path, workers: str, paths: list[Path], before: str = ""
) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", before + FILLS, str(folder), workers, *map(str, paths)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_of_several_processes_one_fills_and_the_others_use_it(paths, folder):
    many = paths * 30
    processes = [started(folder, "0", many) for _ in range(4)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in processes]
    assert [error for _, error in said] == [""] * 4
    expected = load_batch(paths, PREPROCESS).astype(np.int64).sum() * 30
    assert [output.splitlines()[-1] for output, _ in said] == [f"sum {expected}"] * 4
    assert sum("decoding into the cache" in output for output, _ in said) == 1
    assert len(list(folder.iterdir())) == 2


def test_who_waits_for_another_that_is_killed_fills_it(paths, folder):
    many = paths * 200
    first = started(folder, "1", many)
    first.stdin.write("go\n")
    first.stdin.flush()
    while not first.stdout.readline().startswith("decoding into the cache"):
        pass
    first.send_signal(signal.SIGSTOP)
    told = []

    def tell(what: str, done: int, total: int) -> None:
        if what.startswith("waiting"):
            first.kill()
        told.append(what)

    with open_pixels(files_of(many), cache=folder, progress=tell) as source:
        assert len(source.rows(np.arange(COUNT))) == COUNT
    first.communicate()
    assert told[0] == "waiting for another process that decodes the same images"
    assert told[-1] == "decoding into the cache"


def test_a_worker_that_is_killed_ends_the_filling(paths, folder):
    def kill(what: str, done: int, total: int) -> None:
        for pid in decoders()[:1]:
            os.kill(pid, signal.SIGKILL)
            assert eventually(lambda gone=pid: not is_decoder(gone))

    with pytest.raises(EnvironmentMismatch, match="was killed"):
        open_pixels(files_of(paths * 200), workers=2, cache=folder, progress=kill)
    assert not decoders()
    assert not list(folder.iterdir())


def test_the_preprocessing_of_an_entry_is_that_of_its_key(paths, folder):
    small, cropped = Preprocess(size=32), Preprocess(size=32, crop=33)
    for preprocess in (small, cropped, small):
        with open_pixels(files_of(paths, preprocess), cache=folder, progress=silent) as source:
            np.testing.assert_array_equal(
                source.rows(np.arange(COUNT)), load_batch(paths, preprocess)
            )
    assert len(list(folder.iterdir())) == 4
