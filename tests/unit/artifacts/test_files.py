import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allnet_edge.artifacts import files
from allnet_edge.errors import IntegrityError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_canonical_json_is_read_back_as_it_was(value):
    assert json.loads(files.canonical_json(value)) == value


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    first, second = {"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"y": 2, "x": 1}, "a": 1}
    assert files.canonical_json(first) == files.canonical_json(second)
    assert files.canonical_json(first) == b'{\n "a": 1,\n "b": {\n  "x": 1,\n  "y": 2\n }\n}\n'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_canonical_json_refuses_what_json_cannot_say(number):
    with pytest.raises(ValueError, match="JSON"):
        files.canonical_json({"x": number})


def test_hashes_are_sha256(tmp_path):
    # The published digest of "abc", FIPS 180-2.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "abc.txt").write_bytes(b"abc")
    assert files.sha256_file(tmp_path / "sub" / "abc.txt") == expected
    assert files.hash_tree(tmp_path) == {"sub/abc.txt": expected}


def test_write_replaces_the_content_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    files.write_text(path, "old")
    files.write_json(path, {"new": 1})
    assert files.read_json(path) == {"new": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_keeps_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    files.write_bytes(path, b"old")

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


KILLED_BEFORE_RENAME = """
import os, signal, sys
from pathlib import Path
from allnet_edge.artifacts import files
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
files.write_bytes(Path(sys.argv[1]), b"new" * 1000)
"""


@pytest.mark.parametrize("old", [b"old", None], ids=["over an older file", "a new file"])
def test_a_kill_before_the_rename_leaves_the_old_content(old, tmp_path):
    path = tmp_path / "a.bin"
    if old is not None:
        path.write_bytes(old)
    done = subprocess.run([sys.executable, "-c", KILLED_BEFORE_RENAME, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (path.read_bytes() if path.exists() else None) == old
    leftovers = [entry for entry in tmp_path.iterdir() if entry != path]
    assert len(leftovers) == 1
    assert files.is_temporary(leftovers[0])


def test_commit_folder_takes_the_place_of_an_older_folder(tmp_path):
    final, assembled = tmp_path / "f", tmp_path / "f.tmp-1"
    for folder, name in ((final, "old"), (assembled, "new")):
        folder.mkdir()
        (folder / name).write_text(name)
    files.commit_folder(assembled, final)
    assert [entry.name for entry in final.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("export.tmp-12", True),
        ("manifest.json.tmp-3", True),
        ("export.tmp-12-old", True),
        ("export", False),
        ("export.partial", False),
        ("notes.tmp-draft", False),
        (".tmp-1", False),
    ],
)
def test_only_our_own_temporary_names_are_taken_for_leftovers(name, expected):
    assert files.is_temporary(Path("x") / name) is expected


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\xff"])
def test_damaged_json_is_an_integrity_error_that_names_the_file(content, tmp_path):
    path = tmp_path / "stage.json"
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        files.read_json(path)
    assert caught.value.where == str(path)
